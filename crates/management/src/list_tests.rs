use serde_json::json;

use super::*;

fn rows() -> Vec<Value> {
    ["b", "a", "C", "ab"]
        .iter()
        .enumerate()
        .map(|(at, name)| json!({"vhost": "/", "name": name, "n": at, "x": {"y": 3 - at, "z": 1}}))
        .collect()
}

fn answer(query: &str) -> Result<Value, String> {
    let query = Query::parse(query);
    let listing = Listing::of(&query, 500).map_err(|error| error.to_string())?;
    listing.answer(rows()).map_err(|error| error.to_string())
}

fn names(value: &Value) -> Vec<&str> {
    let items = value.get("items").unwrap_or(value).as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn without_a_page_all_come_in_order_and_nothing_is_filtered() {
    assert_eq!(names(&answer("name=a&use_regex=true").unwrap()), ["C", "a", "ab", "b"]);
    assert_eq!(names(&answer("sort=name&sort_reverse=true").unwrap()), ["b", "ab", "a", "C"]);
    assert_eq!(names(&answer("sort=x.y").unwrap()), ["ab", "C", "a", "b"]);
    assert_eq!(names(&answer("sort=n&sort_reverse=true").unwrap()), ["ab", "C", "a", "b"]);
    // What is nowhere sorts nothing.
    assert_eq!(names(&answer("sort=nowhere").unwrap()), ["C", "a", "ab", "b"]);
}

#[test]
fn a_page_is_an_object_whatever_else_is_asked() {
    let page = answer("page=1&page_size=2&pagination=false&name=a&use_regex=false").unwrap();
    assert_eq!(names(&page), ["a", "ab"]);
    let numbers = ["filtered_count", "item_count", "page", "page_count", "page_size", "total_count"];
    assert_eq!(numbers.map(|name| page[name].as_u64().unwrap()), [2, 2, 1, 1, 2, 4]);
    let page = answer("page=2&page_size=3").unwrap();
    assert_eq!(names(&page), ["b"]);
    assert_eq!(numbers.map(|name| page[name].as_u64().unwrap()), [4, 1, 2, 2, 3, 4]);
    assert_eq!(names(&answer("page=1&name=^c$&use_regex=true").unwrap()), ["C"]);
    assert_eq!(names(&answer("page=1&name=zz").unwrap()), [""; 0]);
}

#[test]
fn pages_that_are_none_are_refused() {
    for (query, expected) in [
        ("page=0", "invalid_pagination_parameters: Invalid pagination parameters: page number 0, page size undefined"),
        (
            "page=1&page_size=501",
            "invalid_pagination_parameters: Invalid pagination parameters: page number 1, page size 501",
        ),
        ("page=x", "bad request: Pagination parameters are invalid"),
        ("page=1&name=(&use_regex=true", "bad request: Pagination parameters are invalid"),
        ("page=3&page_size=4", "page_out_of_range: Page out of range, page: 3 page size: 4, len: 4"),
    ] {
        assert_eq!(answer(query).unwrap_err(), expected, "{query}");
    }
}

#[test]
fn an_expression_that_takes_too_long_is_refused() {
    let rows = vec![json!({"name": "a".repeat(100)})];
    let query = Query::parse("page=1&use_regex=true&name=^(a%2Ba?)%2B\\1b");
    let refused = Listing::of(&query, 500).unwrap().answer(rows.clone()).unwrap_err().to_string();
    assert_eq!(refused, "bad request: Pagination parameters are invalid");
    let query = Query::parse("page=1&use_regex=true&name=^(?!b)a");
    assert_eq!(Listing::of(&query, 500).unwrap().answer(rows).unwrap()["filtered_count"], 1);
}

#[test]
fn columns_are_paths() {
    let items = answer("columns=name,x.z").unwrap();
    assert_eq!(items[0], json!({"name": "C", "x": {"z": 1}}));
    let page = answer("page=1&columns=n").unwrap();
    assert_eq!(page["items"][0], json!({"n": 2}));
    let row = json!({"a": 1, "b": [{"c": 1, "d": 2}]});
    for (columns, expected) in [
        ("b.c", json!({"b": [{"c": 1}]})),
        // The whole holds its parts, in whatever order they are named.
        ("b.c,b", json!({"b": [{"c": 1, "d": 2}]})),
        ("b,b.c", json!({"b": [{"c": 1, "d": 2}]})),
        ("b.d,b.c,b.c", json!({"b": [{"c": 1, "d": 2}]})),
        ("a.x", json!({"a": 1})),
        ("c", json!({})),
        ("", json!({})),
    ] {
        let query = format!("columns={columns}");
        assert_eq!(with_columns(row.clone(), &Query::parse(&query)), expected, "{columns}");
    }
    let deep = format!("columns={}", "b.".repeat(100_000));
    assert_eq!(with_columns(row, &Query::parse(&deep)), json!({"b": [{}]}));
}

struct Costly<'a>(usize, &'a std::cell::Cell<usize>);

impl Row for Costly<'_> {
    fn name(&self) -> Cow<'_, str> {
        format!("{:04}", self.0).into()
    }

    fn cheap(&self, column: &str) -> Option<Value> {
        (column == "messages").then(|| self.0.into())
    }

    fn fill(&self) -> Value {
        self.1.set(self.1.get() + 1);
        json!({"name": self.name(), "rate": self.0})
    }
}

#[test]
fn only_the_rows_of_the_page_are_filled_where_the_order_is_known_without() {
    for (query, expected) in [
        ("page=2&page_size=5", 5),
        ("page=2&page_size=5&sort=messages&sort_reverse=true", 5),
        ("page=2&page_size=5&sort=rate", 100),
        ("", 100),
    ] {
        let filled = std::cell::Cell::new(0);
        let rows: Vec<_> = (0..100).map(|at| Costly(at, &filled)).collect();
        let query = Query::parse(query);
        Listing::of(&query, 500).unwrap().answer(rows).unwrap();
        assert_eq!(filled.get(), expected, "{query:?}");
    }
}

#[test]
fn values_of_different_kinds_are_in_erlangs_order() {
    let mut values = [json!("a"), json!([1]), json!({}), json!(true), json!(null), json!(2.5), json!(false), json!(1)];
    values.sort_by(compare);
    assert_eq!(json!(values), json!([1, 2.5, false, null, true, {}, [1], "a"]));
}
