//! Words every RemoteGPU crate shares: ids, paging, store errors.
