using DeepSeekOps.Decisions;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>Faults that a person can ask for: of a cluster that breaks no real machine by it.</summary>
/// <param name="Kill">Breaks a node, for a reason, until it is healed. False: there is no such node.</param>
/// <param name="Heal">Makes a broken node whole. False: there is no such node.</param>
/// <param name="Hide">Gives a node a fault that only a test finds. False: there is no such node.</param>
public sealed record NodeFaults(Func<NodeId, string, bool> Kill, Func<NodeId, bool> Heal, Func<NodeId, HiddenFault, bool> Hide);

public enum HiddenFault
{
    SlowMemory = 0,
    WrongProduct = 1,
}
