//! A group.

use rhai::Dynamic;

use super::super::fault::Outcome;
use super::{Call, Row, Ty};

pub(super) static ROWS: &[Row] = &[
    get("id", Ty::Int, |call| Ok(call.this_group()?.0.id.0.into()), "Its number."),
    get("name", Ty::Text, |call| Ok((&*call.this_group()?.0.name).into()), "Its name."),
    get(
        "members",
        Ty::Int,
        |call| Ok(call.this_group()?.0.members.into()),
        "How many members it has, bots not counted.",
    ),
];

const fn get(
    name: &'static str,
    returns: Ty,
    get: fn(&Call) -> Outcome<Dynamic>,
    doc: &'static str,
) -> Row {
    Row::getter(Ty::Group, name, returns, get, doc)
}
