//! Octets: field values, tables, frames and a reader for arguments.

/// A frame that carries a method.
pub const FRAME_METHOD: u8 = 1;
/// A frame that carries a content header.
pub const FRAME_HEADER: u8 = 2;
/// A frame that carries a piece of a body.
pub const FRAME_BODY: u8 = 3;
/// A heartbeat frame.
pub const FRAME_HEARTBEAT: u8 = 8;
/// The octet every frame ends with.
pub const FRAME_END: u8 = 0xCE;
/// What a frame needs besides its payload.
pub const FRAME_OVERHEAD_BYTES: usize = 8;

/// A field value in RabbitMQ's reading of the tags.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: scale and value
    Decimal(u8, u32),
    /// `S`
    Str(Vec<u8>),
    /// `x`
    Bytes(Vec<u8>),
    /// `A`
    Array(Vec<Value>),
    /// `F`
    Table(Table),
    /// `T`: seconds
    Time(u64),
    /// `V`
    Void,
}

/// A field table in the order of the wire.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(String, Value)>);

/// A table of the given entries.
pub fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The empty table.
pub fn none() -> Table {
    Table::default()
}

impl Table {
    /// The first value under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The contents without the length before them.
    pub fn contents(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in &self.0 {
            put_shortstr(&mut out, key.as_bytes());
            value.put(&mut out);
        }
        out
    }

    /// The length and the contents.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_longstr(out, &self.contents());
    }
}

impl Value {
    /// The tag and the value.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Value::Bool(value) => out.push(u8::from(*value)),
            Value::I8(value) => out.extend(value.to_be_bytes()),
            Value::U8(value) => out.push(*value),
            Value::I16(value) => out.extend(value.to_be_bytes()),
            Value::U16(value) => out.extend(value.to_be_bytes()),
            Value::I32(value) => out.extend(value.to_be_bytes()),
            Value::U32(value) => out.extend(value.to_be_bytes()),
            Value::I64(value) => out.extend(value.to_be_bytes()),
            Value::F32(value) => out.extend(value.to_be_bytes()),
            Value::F64(value) => out.extend(value.to_be_bytes()),
            Value::Decimal(scale, value) => {
                out.push(*scale);
                out.extend(value.to_be_bytes());
            }
            Value::Str(bytes) | Value::Bytes(bytes) => put_longstr(out, bytes),
            Value::Array(values) => {
                let mut contents = Vec::new();
                values.iter().for_each(|value| value.put(&mut contents));
                put_longstr(out, &contents);
            }
            Value::Table(table) => table.put(out),
            Value::Time(seconds) => out.extend(seconds.to_be_bytes()),
            Value::Void => (),
        }
    }

    /// The tag alone.
    pub fn tag(&self) -> u8 {
        match self {
            Value::Bool(_) => b't',
            Value::I8(_) => b'b',
            Value::U8(_) => b'B',
            Value::I16(_) => b's',
            Value::U16(_) => b'u',
            Value::I32(_) => b'I',
            Value::U32(_) => b'i',
            Value::I64(_) => b'l',
            Value::F32(_) => b'f',
            Value::F64(_) => b'd',
            Value::Decimal(..) => b'D',
            Value::Str(_) => b'S',
            Value::Bytes(_) => b'x',
            Value::Array(_) => b'A',
            Value::Table(_) => b'F',
            Value::Time(_) => b'T',
            Value::Void => b'V',
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.as_bytes().to_vec())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::I32(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(texts: [&str; N]) -> Value {
        Value::Array(texts.into_iter().map(Value::from).collect())
    }
}

impl From<Table> for Value {
    fn from(table: Table) -> Value {
        Value::Table(table)
    }
}

/// A whole frame.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    frame_announcing(kind, channel, length_u32(payload), payload, FRAME_END)
}

/// A frame whose announced size and end octet need not be right.
pub fn frame_announcing(kind: u8, channel: u16, size: u32, payload: &[u8], end: u8) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(payload);
    out.push(end);
    out
}

/// Appends a short string; a test that wants a wrong length writes the octets itself.
pub fn put_shortstr(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).expect("a short string has at most 255 octets"));
    out.extend(bytes);
}

/// Appends a long string, which is also the form of a table's and an array's contents.
pub fn put_longstr(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(length_u32(bytes).to_be_bytes());
    out.extend(bytes);
}

fn length_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a length fits in 32 bits")
}

/// Reads arguments one after another and panics, naming what was read, when they do not have the expected form.
#[derive(Clone, Debug)]
pub struct Args {
    bytes: Vec<u8>,
    position: usize,
}

impl Args {
    /// A reader at the start of some bytes.
    pub fn new(bytes: &[u8]) -> Args {
        Args { bytes: bytes.to_vec(), position: 0 }
    }

    /// Takes so many octets.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let end = self.position + count;
        let taken = self.bytes.get(self.position..end);
        let taken = taken.unwrap_or_else(|| panic!("{count} octets wanted at {} of {:?}", self.position, self.bytes));
        self.position = end;
        taken.to_vec()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("take gives as many octets as asked for")
    }

    /// One octet, also used for packed bits.
    pub fn octet(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// 16 bits.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// 32 bits.
    pub fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// 64 bits.
    pub fn longlong(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A short string as text.
    pub fn shortstr(&mut self) -> String {
        let count = self.octet();
        let bytes = self.take(usize::from(count));
        String::from_utf8(bytes).expect("a short string sent by a broker is UTF-8")
    }

    /// A long string.
    pub fn longstr(&mut self) -> Vec<u8> {
        let count = self.long();
        self.take(usize::try_from(count).expect("32 bits fit in usize"))
    }

    /// A field table.
    pub fn table(&mut self) -> Table {
        let mut contents = Args::new(&self.longstr());
        let mut entries = Vec::new();
        while !contents.is_at_end() {
            let key = contents.shortstr();
            entries.push((key, contents.value()));
        }
        Table(entries)
    }

    fn value(&mut self) -> Value {
        match self.octet() {
            b't' => Value::Bool(self.octet() != 0),
            b'b' => Value::I8(i8::from_be_bytes(self.array())),
            b'B' => Value::U8(self.octet()),
            b's' => Value::I16(i16::from_be_bytes(self.array())),
            b'u' => Value::U16(self.short()),
            b'I' => Value::I32(i32::from_be_bytes(self.array())),
            b'i' => Value::U32(self.long()),
            b'l' => Value::I64(i64::from_be_bytes(self.array())),
            b'f' => Value::F32(f32::from_be_bytes(self.array())),
            b'd' => Value::F64(f64::from_be_bytes(self.array())),
            b'D' => Value::Decimal(self.octet(), self.long()),
            b'S' => Value::Str(self.longstr()),
            b'x' => Value::Bytes(self.longstr()),
            b'A' => {
                let mut contents = Args::new(&self.longstr());
                let mut values = Vec::new();
                while !contents.is_at_end() {
                    values.push(contents.value());
                }
                Value::Array(values)
            }
            b'F' => Value::Table(self.table()),
            b'T' => Value::Time(self.longlong()),
            b'V' => Value::Void,
            tag => panic!("a broker sent a field value with the unknown tag {tag}"),
        }
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// Panics when something was not read.
    pub fn finish(self) {
        assert!(self.is_at_end(), "octets left over: {:?}", self.rest());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_read_as_it_was_written() {
        let values = Value::Array(vec![
            Value::Bool(true),
            Value::I8(-1),
            Value::U8(255),
            Value::I16(-2),
            Value::U16(65535),
            Value::I32(-3),
            Value::U32(u32::MAX),
            Value::I64(-4),
            Value::F32(0.5),
            Value::F64(-0.25),
            Value::Decimal(2, 314),
            Value::from("text"),
            Value::Bytes(vec![0, 255]),
            Value::Time(1),
            Value::Void,
        ]);
        let written = table([("list", values), ("nested", table([("", Value::Void)]).into())]);
        let mut bytes = Vec::new();
        written.put(&mut bytes);
        let mut args = Args::new(&bytes);
        assert_eq!(args.table(), written);
        args.finish();
    }

    #[test]
    fn a_frame_has_its_size_and_its_end() {
        assert_eq!(frame(1, 258, b"ab"), [1, 1, 2, 0, 0, 0, 2, b'a', b'b', 0xCE]);
    }
}
