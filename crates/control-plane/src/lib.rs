//! What RemoteGPU does: one file for one act, over the domain's ports.
