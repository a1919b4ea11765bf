//! What the document promises of every route.

use std::collections::BTreeSet;

use super::*;
use crate::http::routes;

/// Every operation, by path and method.
fn operations() -> impl Iterator<Item = (String, String, Value)> {
    let paths = built()["paths"].as_object().unwrap().clone();
    paths.into_iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().clone();
        methods.into_iter().map(move |(method, operation)| (path.clone(), method, operation))
    })
}

#[test]
fn the_document_and_the_route_table_name_the_same_routes() {
    let table: BTreeSet<_> = routes()
        .into_iter()
        .map(|route| (route.path.to_owned(), route.method.as_str().to_lowercase()))
        .collect();
    let documented: BTreeSet<_> = operations().map(|(path, method, _)| (path, method)).collect();
    assert_eq!(documented, table);
}

#[test]
fn each_route_documents_the_query_parameters_that_it_knows() {
    for route in routes() {
        let operation = &built()["paths"][route.path][route.method.as_str().to_lowercase()];
        let documented = operation["parameters"].as_array().into_iter().flatten();
        let documented: BTreeSet<_> = documented
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        let known = route.parameters.iter().map(|parameter| parameter.name().to_owned());
        assert_eq!(documented, known.collect(), "{} {}", route.method, route.path);
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_is() {
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations() {
        let at = format!("{method} {path}");
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{at}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.contains('`')), "{at}");
        assert!(operation["security"].is_array(), "{at}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{at} {parameter}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let told = answer["$ref"].is_string() || answer["description"] != "";
            assert!(told, "{at} {status}: {answer}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let mut open = vec![built()];
    while let Some(value) = open.pop() {
        if let Some(reference) = value["$ref"].as_str() {
            let target = reference.strip_prefix('#').and_then(|place| built().pointer(place));
            assert!(target.is_some(), "{reference}");
        }
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[test]
fn every_schema_is_of_a_type_and_says_what_it_is() {
    for (name, schema) in built()["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}: {schema}");
    }
}
