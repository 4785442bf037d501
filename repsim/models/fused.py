"""Owns the fused suffix: the same function as a frozen one, in fewer passes over memory.

    bn(conv(x)) = (s ⊙ W) * x + s ⊙ (b − μ) + β        s = γ / √(σ² + ε)

Running statistics that do not change make a batch norm a multiply-add per channel. It disappears in the convolution before
it, and the ReLU behind that writes over what the convolution made: of three tensors per layer one is left.
"""

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from repsim.models.graph import GraphSuffix
from repsim.models.parts import Suffix

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RELUS = (functional.relu, torch.relu)
WITHOUT_FP64 = {"mps"}  # kinds of devices


class Scale(nn.Module):
    """y = s ⊙ x + t over channels: x (n, c) or (n, c, …); s, t (c,)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor):
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        axes = (-1, *(1,) * (x.dim() - 2))
        return torch.addcmul(self.shift.view(axes), x, self.scale.view(axes))


def fused(suffix: Suffix) -> Suffix:
    """The same function as `suffix`, to rounding; equal weights are assumed to stay as they are now.

    It has weights of its own, frozen and in eval mode; `suffix` and its network are left alone. A batch norm is folded where
    a convolution feeds it and nothing else (no value asked for lies between), and is a multiply-add elsewhere: behind a
    linear layer too, whose features need not be the norm's channels. Norms in train mode or without running statistics
    stay. A suffix that is no graph is given back as it is: the same object.
    """
    if not isinstance(suffix, GraphSuffix):
        return suffix
    twin = copy.deepcopy(suffix).requires_grad_(False)
    part = twin.part
    for node in list(part.graph.nodes):
        norm = _called(part, node)
        if isinstance(norm, _BatchNorm) and type(norm) in NORMS and not norm.training and norm.running_mean is not None:
            _absorb(part, node, norm)
    for node in list(part.graph.nodes):
        if _is_relu(part, node) and _is_own(part, node.all_input_nodes[0]):
            _write_over(part.graph, node)
    part.graph.lint()
    part.recompile()
    part.delete_all_unused_submodules()
    return twin


def _called(part: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """What `node` calls, if it is a plain module: one with hooks may do more than its type says."""
    if node.op != "call_module":
        return None
    module = part.get_submodule(str(node.target))
    return None if module._forward_hooks or module._forward_pre_hooks else module


def _absorb(part: fx.GraphModule, node: fx.Node, norm: _BatchNorm) -> None:
    """Put a new module in the place of a norm, and of the convolution before it where it can be."""
    before = node.all_input_nodes[0]
    scale, shift = _multiply_add(norm)
    conv = _called(part, before)
    if isinstance(conv, _ConvNd) and type(conv) in CONVOLUTIONS and len(before.users) == 1:
        _replace(part, node, _scaled(conv, scale, shift), before.all_input_nodes[0])
        part.graph.erase_node(before)
    else:
        assert norm.running_var is not None
        _replace(part, node, Scale(scale.to(norm.running_var), shift.to(norm.running_var)), before)


def _multiply_add(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """s and β − s ⊙ μ, (c,) fp64."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (_exact(norm.running_var) + norm.eps).rsqrt()
    shift = -_exact(norm.running_mean) * scale
    if not norm.affine:
        return scale, shift
    weight = _exact(norm.weight)
    return weight * scale, weight * shift + _exact(norm.bias)


def _scaled(conv: _ConvNd, scale: Tensor, shift: Tensor) -> _ConvNd:
    """s ⊙ conv(x) + t as one convolution, with the memory format of the old weight."""
    twin = copy.deepcopy(conv)
    bias = shift if conv.bias is None else shift + scale * _exact(conv.bias)
    twin.weight.copy_(_exact(conv.weight) * scale.view(-1, *(1,) * (conv.weight.dim() - 1)))
    twin.bias = nn.Parameter(bias.to(conv.weight), requires_grad=False)
    return twin


def _exact(tensor: Tensor) -> Tensor:
    """In fp64, on the CPU where the device has none."""
    return tensor.to("cpu" if tensor.device.type in WITHOUT_FP64 else tensor.device).double()


def _replace(part: fx.GraphModule, node: fx.Node, module: nn.Module, value: fx.Node) -> None:
    """Let `node` call `module`, under a name of its own: the old one may be called elsewhere."""
    name = f"fused_{node.name}"
    part.add_submodule(name, module)
    node.target, node.args, node.kwargs = name, (value,), {}


def _is_relu(part: fx.GraphModule, node: fx.Node) -> bool:
    return type(_called(part, node)) is nn.ReLU or (node.op == "call_function" and node.target in RELUS)


def _is_own(part: fx.GraphModule, node: fx.Node) -> bool:
    """Whether nobody else reads this value, and autograd does not: convolutions and multiply-adds keep their input only."""
    return len(node.users) == 1 and type(_called(part, node)) in (*CONVOLUTIONS, Scale)


def _write_over(graph: fx.Graph, node: fx.Node) -> None:
    with graph.inserting_after(node):
        inplace = graph.call_function(torch.relu_, (node.all_input_nodes[0],))
    node.replace_all_uses_with(inplace)
    graph.erase_node(node)
