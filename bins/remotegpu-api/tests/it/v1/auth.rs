mod key;
mod password;
mod session;
mod sign_in;
mod sign_up;
