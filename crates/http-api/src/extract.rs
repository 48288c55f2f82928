//! What a handler takes from a request. Who is calling is the edge's to say.

pub(crate) use remotegpu_edge::{
    Admin, Anyone, Client, KeyCaller, OneTimePassword, PathId, Query, Read, SessionCaller, Write,
    cookie_name, session_cookies,
};

pub(crate) use crate::json_body::JsonBody;
