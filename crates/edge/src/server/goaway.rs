//! HTTP/2's way of saying that a connection takes no further requests. The
//! library that speaks HTTP/2 here has no way to send it, so that the stream puts
//! it between two of the library's frames.

use std::io::IoSlice;

/// GOAWAY on stream 0, with no error and the highest stream there can be: what
/// was begun is answered, and the client opens another connection for the rest
/// (RFC 9113, 6.8).
pub(super) const GOAWAY: [u8; 17] = [
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0,
];

const HEADER: usize = 9;

/// Follows the frames in what is written.
#[derive(Debug, Default)]
pub(super) struct FrameTracker {
    header: [u8; HEADER],
    header_seen: usize,
    payload_left: usize,
    begun: bool,
}

impl FrameTracker {
    /// Whether another frame may stand here. The very first must be the library's
    /// SETTINGS.
    pub(super) fn between_frames(&self) -> bool {
        self.begun && self.header_seen == 0 && self.payload_left == 0
    }

    /// These bytes were written.
    pub(super) fn written(&mut self, mut bytes: &[u8]) {
        self.begun |= !bytes.is_empty();
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len());
                self.payload_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.header_seen] = *first;
            self.header_seen += 1;
            bytes = rest;
            if self.header_seen == HEADER {
                let [high, middle, low, ..] = self.header;
                self.payload_left =
                    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.header_seen = 0;
            }
        }
    }

    /// So many bytes of these were written.
    pub(super) fn written_vectored(&mut self, slices: &[IoSlice<'_>], mut count: usize) {
        for slice in slices {
            let taken = count.min(slice.len());
            self.written(&slice[..taken]);
            count -= taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_where_its_length_says_however_it_is_written() {
        let frames = [&[0, 0, 3, 0, 0, 0, 0, 0, 1, 7, 7, 7][..], &GOAWAY, &[0; 9]].concat();
        let ends = [12, 29, 38];
        for step in 1..frames.len() {
            let mut tracker = FrameTracker::default();
            assert!(!tracker.between_frames(), "SETTINGS come first");
            let mut at = 0;
            for part in frames.chunks(step) {
                tracker.written(part);
                at += part.len();
                assert_eq!(tracker.between_frames(), ends.contains(&at), "{at}, {step}");
            }
        }
        let mut tracker = FrameTracker::default();
        let slices = [IoSlice::new(&frames[..5]), IoSlice::new(&frames[5..])];
        tracker.written_vectored(&slices, 12);
        assert!(tracker.between_frames());
        let mut long = FrameTracker::default();
        long.written(&[1, 0, 1, 0, 0, 0, 0, 0, 1]);
        long.written(&vec![0; 0x1_0000]);
        assert!(!long.between_frames());
        long.written(&[0]);
        assert!(long.between_frames());
    }
}
