//! Values for fields, handed out in turn.

use leveret_codec::table::TableRef;
use std::cell::Cell;

/// What the fields of methods are filled from. A shorter supply is used again from its beginning.
#[derive(Clone, Debug)]
pub struct Pool {
    pub numbers: Vec<u64>,
    pub texts: Vec<String>,
    pub bytes: Vec<Vec<u8>>,
    pub tables: Vec<Vec<u8>>,
    pub taken: Cell<usize>,
}

impl Pool {
    pub fn bit(&self) -> bool {
        self.longlong() % 2 == 1
    }

    pub fn octet(&self) -> u8 {
        self.longlong().to_be_bytes()[7]
    }

    pub fn short(&self) -> u16 {
        (self.longlong() % 0x1_0000) as u16
    }

    pub fn long(&self) -> u32 {
        (self.longlong() % 0x1_0000_0000) as u32
    }

    pub fn longlong(&self) -> u64 {
        *self.next(&self.numbers)
    }

    pub fn text(&self) -> &str {
        self.next::<String>(&self.texts)
    }

    pub fn shortstr(&self) -> &[u8] {
        let bytes = self.next::<Vec<u8>>(&self.bytes);
        &bytes[..bytes.len().min(255)]
    }

    pub fn longstr(&self) -> &[u8] {
        self.next::<Vec<u8>>(&self.bytes)
    }

    pub fn table(&self) -> TableRef<'_> {
        TableRef::from_raw(self.next::<Vec<u8>>(&self.tables))
    }

    fn next<'a, T>(&self, supply: &'a [T]) -> &'a T {
        let turn = self.taken.get();
        self.taken.set(turn + 1);
        &supply[turn % supply.len()]
    }
}
