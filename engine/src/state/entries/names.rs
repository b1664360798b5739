//! From an entry's name to its number: a trie over hashed names, whose nodes copies share.
//!
//! A name is a BLAKE3 hash, so the trie is as flat as can be, whatever anyone calls their entries: somebody who grinds names
//! that begin alike makes a path longer by one step for sixteen times the work. A copy costs a pointer; the owner's next write copies the path that it
//! changes as far as a copy still holds it.

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use std::sync::{Arc, LazyLock};

static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("nostro entry name"));

/// The hashed name of an entry: its kind and what tells it from others of its kind. Never written anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name([u8; 32]);

impl Name {
    /// Parts of fixed lengths per kind, so that no two names have the same bytes.
    pub(crate) fn new(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Four bits of it.
    fn step(&self, depth: usize) -> usize {
        let byte = self.0.get(depth / 2).copied().unwrap_or(0);
        usize::from(if depth.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
    }
}

/// Names that lie together before they are told apart.
const BUCKET_MAX: usize = 12;
const WIDTH: usize = 16;

#[derive(Clone, Debug)]
enum Node {
    Bucket(Vec<(Name, u32)>),
    Branch(Box<[Option<Arc<Node>>; WIDTH]>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Bucket(Vec::new())
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    root: Arc<Node>,
}

impl Names {
    pub(super) fn get(&self, name: &Name) -> Option<u32> {
        let (mut node, mut depth) = (&*self.root, 0);
        loop {
            match node {
                Node::Bucket(names) => return names.iter().find(|(known, _)| known == name).map(|&(_, number)| number),
                Node::Branch(children) => node = children.get(name.step(depth))?.as_deref()?,
            }
            depth += 1;
        }
    }

    /// Enters a name that isn't there.
    pub(super) fn insert(&mut self, name: Name, number: u32) {
        let (mut node, mut depth) = (Arc::make_mut(&mut self.root), 0);
        while let Node::Branch(children) = node {
            node = Arc::make_mut(children[name.step(depth)].get_or_insert_default());
            depth += 1;
        }
        let Node::Bucket(names) = node else { return };
        names.push((name, number));
        if names.len() > BUCKET_MAX && depth < 2 * size_of::<Name>() {
            let mut children: Box<[Option<Arc<Node>>; WIDTH]> = Box::default();
            for (name, number) in std::mem::take(names) {
                let child = Arc::make_mut(children[name.step(depth)].get_or_insert_default());
                if let Node::Bucket(names) = child {
                    names.push((name, number));
                }
            }
            *node = Node::Branch(children);
        }
    }

    pub(super) fn remove(&mut self, name: &Name) {
        remove(Arc::make_mut(&mut self.root), name, 0);
    }
}

/// Removes a name below a node; says whether nothing is left there. Goes no deeper than names have steps.
fn remove(node: &mut Node, name: &Name, depth: usize) -> bool {
    match node {
        Node::Bucket(names) => {
            names.retain(|(known, _)| known != name);
            names.is_empty()
        }
        Node::Branch(children) => {
            let child = &mut children[name.step(depth)];
            if child.as_mut().is_some_and(|child| remove(Arc::make_mut(child), name, depth + 1)) {
                *child = None;
            }
            children.iter().all(Option::is_none)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_and_copies_stay_as_they_were() {
        let (mut names, mut naive) = (Names::default(), BTreeMap::new());
        let mut copies = Vec::new();
        let mut seed = 5_u64;
        for round in 0..30_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (seed >> 33) % 6_000;
            let mut name = Name::new(7, &[&key.to_le_bytes()]);
            if key.is_multiple_of(10) {
                // Names that somebody has ground: alike in all but the end.
                name.0[..31].fill(9);
            }
            if naive.remove(&name.0).is_some() {
                names.remove(&name);
            } else {
                names.insert(name, round);
                naive.insert(name.0, round);
            }
            assert_eq!(names.get(&name), naive.get(&name.0).copied());
            if round % 5_000 == 0 {
                copies.push((names.clone(), naive.clone()));
            }
        }
        copies.push((names.clone(), naive.clone()));
        for (names, naive) in copies {
            assert!(naive.iter().all(|(&name, &number)| names.get(&Name(name)) == Some(number)));
        }
        naive.keys().for_each(|&name| names.remove(&Name(name)));
        assert!(naive.keys().all(|&name| names.get(&Name(name)).is_none()));
        assert!(matches!(&*names.root, Node::Branch(children) if children.iter().all(Option::is_none)));
    }
}
