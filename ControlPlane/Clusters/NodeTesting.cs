using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>How a cluster tests a node that nothing runs on.</summary>
/// <param name="Run">
/// Measures a node. When the token is cancelled nothing of the test runs there any more. An IOException says in words why it could not be
/// tested.
/// </param>
/// <param name="Machines">
/// Each node is a machine of its own: a slow one is bad, and all are tested by themselves. Else nodes share one, and are tested when asked.
/// </param>
public sealed record NodeTesting(Func<NodeId, CancellationToken, Task<NodeFigures>> Run, bool Machines);
