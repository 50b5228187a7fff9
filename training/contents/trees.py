"""Contents by regression trees, as recognisers tie their states: one for each phone, grown where frames differ most."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from training.corpus.phones import INDEX, SILENCE

_FEWEST_LEAVES, _FEWEST_FRAMES = 4, 12


@dataclass(frozen=True)
class Trees:
    """Of each phone its tree, and for each of the tree's nodes the content that it is."""

    trees: Mapping[int, DecisionTreeRegressor]
    contents: Mapping[int, NDArray[np.int64]]

    @classmethod
    def grow(
        cls,
        phones: NDArray[np.int64],
        features: NDArray[np.float32],
        sounds: NDArray[np.float32],
        count: int,
        seed: int,
    ) -> "Trees":
        """phones [N], features [N, D], sounds [N, S]: frames of the teacher. Makes `count` contents at most; a phone
        gets them in proportion to how much its frames differ in all.
        """
        heard = {int(phone): np.flatnonzero(phones == phone) for phone in np.unique(phones)}
        spread = {phone: float(sounds[index].var(0).sum()) * len(index) for phone, index in heard.items()}
        whole, spare = sum(spread.values()), count - _FEWEST_LEAVES * len(heard)
        trees: dict[int, DecisionTreeRegressor] = {}
        contents: dict[int, NDArray[np.int64]] = {}
        first = 0
        for phone, index in heard.items():
            leaves = _FEWEST_LEAVES + int(spare * spread[phone] / whole)
            tree = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=_FEWEST_FRAMES, random_state=seed)
            trees[phone] = tree.fit(features[index], sounds[index])
            is_leaf = tree.tree_.children_left < 0
            contents[phone] = np.where(is_leaf, first + np.cumsum(is_leaf) - 1, -1)
            first += int(is_leaf.sum())
        return cls(trees, contents)

    @property
    def count(self) -> int:
        return 1 + max(int(contents.max()) for contents in self.contents.values())

    @property
    def owners(self) -> NDArray[np.int64]:
        """Of each content its phone."""
        owners = np.zeros(self.count, np.int64)
        for phone, contents in self.contents.items():
            owners[contents[contents >= 0]] = phone
        return owners

    def of(self, phones: NDArray[np.int64], features: NDArray[np.float32]) -> NDArray[np.int64]:
        """phones [F], features [F, D] -> contents [F]. A phone that was never heard counts as silence."""
        contents = np.zeros(len(phones), np.int64)
        for phone in np.unique(phones):
            index = np.flatnonzero(phones == phone)
            known = int(phone) if int(phone) in self.trees else INDEX[SILENCE]
            contents[index] = self.contents[known][self.trees[known].apply(features[index])]
        return contents
