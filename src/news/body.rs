//! Inflates what comes compressed, and counts while it does: a small answer may become a huge one.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::fetch::FEED_MAX;

/// Collects bytes up to [`FEED_MAX`].
#[derive(Default)]
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > FEED_MAX {
            return Err(too_large());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large() -> io::Error {
    io::Error::other(format!("the feed is larger than {} MiB", FEED_MAX >> 20))
}

/// A body that is being received.
pub(super) struct Body {
    form: Form,
    /// Bytes that came over the wire: an empty answer may be packed into any number of them.
    received: usize,
}

enum Form {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
    /// `deflate` is zlib by the standard, and bare deflate by some servers: the first byte tells.
    DeflateToCome,
    Zlib(Box<ZlibDecoder<Capped>>),
    Deflate(Box<DeflateDecoder<Capped>>),
}

impl Body {
    /// A body in the encoding that the answer names.
    ///
    /// # Errors
    /// An encoding that was not asked for.
    pub(super) fn new(encoding: &str) -> io::Result<Self> {
        let form = match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Form::Plain(Capped::default()),
            "gzip" | "x-gzip" => Form::Gzip(Box::new(MultiGzDecoder::new(Capped::default()))),
            "deflate" => Form::DeflateToCome,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(io::Error::other(format!("it is encoded as `{other}`")));
            }
        };
        Ok(Self { form, received: 0 })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// It is too large, or not what it says.
    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.received += bytes.len();
        if self.received > FEED_MAX {
            return Err(too_large());
        }
        if let (Form::DeflateToCome, Some(first)) = (&self.form, bytes.first()) {
            self.form = if first & 0x0f == 8 {
                Form::Zlib(Box::new(ZlibDecoder::new(Capped::default())))
            } else {
                Form::Deflate(Box::new(DeflateDecoder::new(Capped::default())))
            };
        }
        match &mut self.form {
            Form::Plain(out) => out.write_all(bytes),
            Form::Gzip(out) => out.write_all(bytes),
            Form::Zlib(out) => out.write_all(bytes),
            Form::Deflate(out) => out.write_all(bytes),
            Form::DeflateToCome => Ok(()),
        }
    }

    /// Everything, once the last bytes are in.
    ///
    /// # Errors
    /// It ended too early, or is too large.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let out = match self.form {
            Form::Plain(out) => out,
            Form::Gzip(out) => out.finish()?,
            Form::Zlib(out) => out.finish()?,
            Form::Deflate(out) => out.finish()?,
            Form::DeflateToCome => Capped::default(),
        };
        Ok(out.0)
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"<rss version=\"2.0\"><channel/></rss>";

    fn read(encoding: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut body = Body::new(encoding)?;
        for chunk in bytes.chunks(7) {
            body.add(chunk)?;
        }
        body.finish()
    }

    #[test]
    fn reads_every_encoding_that_is_asked_for() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::best());
        for out in [&mut gzip as &mut dyn Write, &mut zlib, &mut bare] {
            out.write_all(TEXT).expect("into memory");
        }
        let gzip = gzip.finish().expect("into memory");
        assert_eq!(read("", TEXT).expect("plain"), TEXT);
        assert_eq!(read("gzip", &gzip).expect("gzip"), TEXT);
        assert_eq!(read("deflate", &zlib.finish().expect("in memory")).expect("zlib"), TEXT);
        assert_eq!(read("deflate", &bare.finish().expect("in memory")).expect("bare"), TEXT);
        assert!(read("gzip", &gzip[..gzip.len() - 9]).is_err(), "cut off");
        assert!(read("gzip", TEXT).is_err(), "not what it says");
        assert!(read("br", TEXT).is_err(), "not asked for");
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..64 {
            bomb.write_all(&zeros).expect("into memory");
        }
        let bomb = bomb.finish().expect("into memory");
        assert!(bomb.len() * 900 < 64 << 20, "{}", bomb.len());
        let error = read("gzip", &bomb).expect_err("too large").to_string();
        assert!(error.contains("larger than 2 MiB"), "{error}");
        let error = read("", &vec![b' '; FEED_MAX + 1]).expect_err("too large").to_string();
        assert!(error.contains("larger than 2 MiB"), "{error}");
    }
}
