"""Evaluation methods written from their formulas, one token at a time. They return the nats of each token."""

import math

import torch
from torch.nn.functional import cross_entropy

WORDS = 12


def random_ids(size, seed=1):
    return torch.randint(WORDS, (size,), generator=torch.Generator().manual_seed(seed))


def hidden_states(model, ids):
    """Yield the hidden state that predicts each next word, read one word at a time."""
    states = None
    for word in ids[:-1]:
        hidden, states = model(word.view(1, 1), states)
        yield hidden[0, 0]


@torch.no_grad()
def static(model, ids, temperature=1.0):
    probabilities = [(model.decoder(h) / temperature).softmax(0) for h in hidden_states(model.eval(), ids)]
    return [-math.log(p[word]) for p, word in zip(probabilities, ids[1:], strict=True)]


@torch.no_grad()
def cache(model, ids, theta, weight, window, temperature=1.0):
    nats, memory = [], []
    for h, word in zip(hidden_states(model.eval(), ids), ids[1:], strict=True):
        p = float((model.decoder(h) / temperature).softmax(0)[word])
        recent = memory[-window:]
        if recent:
            similar = [math.exp(theta * float(h @ before)) for before, _ in recent]
            found = sum(s for s, (_, after) in zip(similar, recent, strict=True) if after == word)
            p = (1 - weight) * p + weight * found / sum(similar)
        nats.append(-math.log(p))
        memory.append((h, word))
    return nats


def gradient_mean_square_roots(model, ids, columns, seq_len):
    """The training text is cut into equal columns, which are read side by side."""
    parameters, length = list(model.eval().parameters()), (len(ids) - 1) // columns
    squares, count, states = [torch.zeros_like(p) for p in parameters], 0, [None] * columns
    for start in range(0, length, seq_len):
        losses = []
        for column in range(columns):
            for place in range(column * length + start, column * length + min(start + seq_len, length)):
                hidden, states[column] = model(ids[place].view(1, 1), states[column])
                losses.append(cross_entropy(model.decoder(hidden[0, 0]), ids[place + 1]))
            states[column] = detached(states[column])
        gradients = torch.autograd.grad(torch.stack(losses).mean(), parameters)
        squares = [square + g**2 for square, g in zip(squares, gradients, strict=True)]
        count += 1
    return [(square / count).sqrt() for square in squares]


def dynamic(model, ids, lr, decay, seq_len, epsilon=None, ms=None):
    """With `ms` by the root mean squares of the gradients, without by plain gradient descent. The model changes."""
    parameters, nats, states = list(model.eval().parameters()), [], None
    trained = [p.detach().clone() for p in parameters]
    for start in range(0, len(ids) - 1, seq_len):
        losses = []
        for place in range(start, min(start + seq_len, len(ids) - 1)):
            hidden, states = model(ids[place].view(1, 1), states)
            losses.append(cross_entropy(model.decoder(hidden[0, 0]), ids[place + 1]))
        gradients = torch.autograd.grad(sum(losses) / len(losses), parameters)
        nats += [float(loss.detach()) for loss in losses]
        states = detached(states)
        mean = None if ms is None else sum(m.mean() for m in ms) / len(ms)
        for index, (w, w0, g) in enumerate(zip(parameters, trained, gradients, strict=True)):
            if ms is None:
                w.data = w + decay * (w0 - w) - lr * g
            else:
                rate = torch.minimum(ms[index] / mean, torch.tensor(1 / decay))
                w.data = w + decay * rate * (w0 - w) - lr * g / (ms[index] + epsilon)
    return nats


def detached(states):
    return [tuple(part.detach() for part in s) if isinstance(s, tuple) else s.detach() for s in states]
