//! The states that a step finds on each node, and their summary. Pure.

use crate::step::State;

/// The states of nodes, each with the node's name. The texts of drifted states do not repeat the name.
pub(crate) type PerNode = Vec<(String, State)>;

/// Returns Missing if all nodes are missing; otherwise the differences with the names of the nodes, or Ready.
pub(crate) fn together(nodes: PerNode) -> State {
    if nodes.iter().all(|(_, state)| *state == State::Missing) {
        return State::Missing;
    }
    let differs = nodes
        .into_iter()
        .filter_map(|(node, state)| Some(format!("{} on {node}", difference(state)?)));
    let differs: Vec<String> = differs.collect();
    if differs.is_empty() {
        State::Ready
    } else {
        State::Drifted(differs.join("; "))
    }
}

/// Returns the difference on one node, in words; `None` if it is Ready.
pub(crate) fn difference(state: State) -> Option<String> {
    match state {
        State::Ready => None,
        State::Missing => Some("missing".to_owned()),
        State::Drifted(why) => Some(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_that_differs_is_named() {
        let nodes = |states: Vec<State>| {
            let names = ["a", "b", "c"].map(str::to_owned);
            together(names.into_iter().zip(states).collect())
        };
        let drifted = || State::Drifted("ca.crt".to_owned());
        assert_eq!(nodes(vec![State::Ready, State::Ready]), State::Ready);
        assert_eq!(nodes(vec![State::Missing, State::Missing]), State::Missing);
        assert_eq!(nodes(Vec::new()), State::Missing);
        assert_eq!(
            nodes(vec![State::Missing, State::Ready, drifted()]),
            State::Drifted("missing on a; ca.crt on c".to_owned())
        );
        assert_eq!(
            nodes(vec![drifted(), State::Missing]),
            State::Drifted("ca.crt on a; missing on b".to_owned())
        );
    }
}
