// A picture of a page, made small: few colours, packed well. Browsers write theirs in a hurry.

import { crc32, deflateSync, inflateSync } from "node:zlib";

const MARK = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

function chunks(file) {
  const found = {};
  for (let at = MARK.length; at < file.length;) {
    const [length, name] = [file.readUInt32BE(at), file.toString("latin1", at + 4, at + 8)];
    const data = file.subarray(at + 8, at + 8 + length);
    found[name] = found[name] ? Buffer.concat([found[name], data]) : data;
    at += length + 12;
  }
  return found;
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

const paeth = (left, up, corner) => {
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
};

/** The bytes of the picture, row after row, of a PNG with eight bits a colour. */
function pixels(packed, height, row, size) {
  const raw = inflateSync(packed);
  const out = Buffer.alloc(height * row);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const left = x < size ? 0 : out[y * row + x - size];
      const up = y ? out[(y - 1) * row + x] : 0;
      const corner = y && x >= size ? out[(y - 1) * row + x - size] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      out[y * row + x] = raw[y * (row + 1) + 1 + x] + guess;
    }
  }
  return out;
}

export function small(file) {
  const { IHDR, IDAT } = chunks(file);
  const [width, height, kind] = [IHDR.readUInt32BE(0), IHDR.readUInt32BE(4), IHDR[9]];
  const size = kind === 6 ? 4 : 3;
  const seen = pixels(IDAT, height, width * size, size);
  const colours = [];
  for (let at = 0; at < seen.length; at += size) colours.push((seen[at] << 16) | (seen[at + 1] << 8) | seen[at + 2]);
  const counts = new Map();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  // Surfaces keep their colours exactly; what is rare is at the edges of letters.
  const often = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one)).slice(0, 256);
  const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const apart = (one, other) => parts(one).reduce((sum, part, index) => sum + (part - parts(other)[index]) ** 2, 0);
  const nearest = (colour) => often.reduce((best, other, index) => (apart(colour, other) < apart(colour, often[best]) ? index : best), 0);
  const index = new Map(often.map((colour, at) => [colour, at]));
  for (const colour of counts.keys()) if (!index.has(colour)) index.set(colour, nearest(colour));
  const rows = Buffer.alloc(height * (width + 1));
  colours.forEach((colour, at) => { rows[at + Math.floor(at / width) + 1] = index.get(colour); });
  const header = Buffer.from(IHDR);
  header[9] = 3;
  const packed = deflateSync(rows, { level: 9, memLevel: 9 });
  const palette = Buffer.from(often.flatMap(parts));
  return Buffer.concat([MARK, chunk("IHDR", header), chunk("PLTE", palette), chunk("IDAT", packed), chunk("IEND", Buffer.alloc(0))]);
}
