"""Codes of several kinds for the same frames: clusters by sound, whole or within classes of phones; context trees."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from training.contents.trees import Trees
from training.corpus.kokoro_phones import CLASS_OF, PHONES
from training.oracle.frames import Heap, Known

Sounds = NDArray[np.float32]
_FEWEST = 4
"""Clusters of a class, however rare it is."""


class Codes(Protocol):
    """means [K, D]: how each code sounds."""

    @property
    def means(self) -> Sounds: ...

    def of(self, heap: Heap) -> NDArray[np.int64]:
        """[N] codes."""


@dataclass(frozen=True)
class Clusters:
    """The nearest cluster of the frame's class. classes: of each phone; owners [K]: the class of each cluster."""

    classes: NDArray[np.int64]
    owners: NDArray[np.int64]
    means: Sounds

    @classmethod
    def grow(cls, heap: Heap, count: int, classes: NDArray[np.int64], seed: int) -> "Clusters":
        """A class gets clusters in proportion to how much its frames differ in all."""
        owner = classes[heap.known.phones]
        rows = {int(each): heap.sounds[owner == each] for each in np.unique(owner)}
        spread = {each: float(sounds.var(0).sum()) * len(sounds) for each, sounds in rows.items()}
        spare, whole = count - _FEWEST * len(rows), sum(spread.values())
        means: list[Sounds] = []
        owners: list[int] = []
        for each, sounds in rows.items():
            wanted = min(_FEWEST + int(spare * spread[each] / whole), len(sounds))
            trained = MiniBatchKMeans(wanted, batch_size=4096, n_init=1, max_iter=40, random_state=seed).fit(sounds)
            means.append(trained.cluster_centers_.astype(np.float32))
            owners += [each] * wanted
        return cls(classes, np.array(owners), np.concatenate(means))

    def of(self, heap: Heap) -> NDArray[np.int64]:
        codes, owner = np.zeros(len(heap.sounds), np.int64), self.classes[heap.known.phones]
        for each in np.unique(owner):
            # A class that was never heard takes from all.
            own = np.flatnonzero(self.owners == each)
            own = own if len(own) else np.arange(len(self.owners))
            rows = np.flatnonzero(owner == each)
            codes[rows] = own[nearest(heap.sounds[rows], self.means[own])]
        return codes


@dataclass(frozen=True)
class Contexts:
    """Leaves of regression trees over what text tells: today's kind of contents."""

    trees: Trees
    means: Sounds

    @classmethod
    def grow(cls, heap: Heap, count: int, seed: int) -> "Contexts":
        trees = Trees.grow(heap.known.phones, _features(heap.known), heap.sounds, count, seed)
        codes = trees.of(heap.known.phones, _features(heap.known))
        return cls(trees, np.stack([heap.sounds[codes == code].mean(0) for code in range(trees.count)]))

    def of(self, heap: Heap) -> NDArray[np.int64]:
        return self.trees.of(heap.known.phones, _features(heap.known))


WHOLE = np.zeros(len(PHONES), np.int64)
KINDS: Mapping[str, Callable[[Heap, int, int], Codes]] = {
    "clusters": lambda heap, count, seed: Clusters.grow(heap, count, WHOLE, seed),
    "clusters within classes": lambda heap, count, seed: Clusters.grow(heap, count, CLASS_OF, seed),
    "clusters within phones": lambda heap, count, seed: Clusters.grow(heap, count, np.arange(len(PHONES)), seed),
    "context trees": Contexts.grow,
}


def nearest(sounds: Sounds, means: Sounds) -> NDArray[np.int64]:
    """[N, D], [K, D] -> [N]."""
    halves = (means**2).sum(1) / 2
    pieces = np.array_split(sounds, len(sounds) // 4096 + 1)
    return np.concatenate([(piece @ means.T - halves).argmax(1) for piece in pieces])


def _features(known: Known) -> Sounds:
    """[F, D]: places, stress, and which phones stand beside."""
    eye = np.eye(len(PHONES), dtype=np.float32)
    middle = known.around.shape[1] // 2
    beside = [eye[known.around[:, middle + shift]] for shift in (-1, 1)]
    return np.concatenate([known.places, known.stress[:, None].astype(np.float32), *beside], 1)
