//! What a handler takes from a request. Who is calling is the edge's to say.

pub(crate) use remotegpu_edge::{
    Client, KeyCaller, PathId, Query, SessionCaller, cookie_name, session_cookies,
};

pub(crate) use crate::json_body::JsonBody;
