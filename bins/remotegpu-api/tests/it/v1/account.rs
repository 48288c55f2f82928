mod access_tokens;
mod api_keys;
mod audit_events;
mod invitations;
mod members;
mod service_users;
