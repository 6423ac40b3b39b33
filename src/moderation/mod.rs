//! stub until merge
/// Word lists.
#[derive(Debug, Default)]
pub struct WordLists;
impl WordLists {
    /// Hits.
    pub fn hits(&self, _list: &str, _text: &str) -> Vec<String> {
        Vec::new()
    }
}
