using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// What is done once for all silos is done by the one that has worked longest: addresses are ordered by their start. One that is alone
/// is it.
/// </summary>
internal sealed class FirstSilo(IClusterMembershipService silos, ILocalSiloDetails us)
{
    public bool IsUs => silos.CurrentSnapshot.Members.Values.Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress).Min()
        is { } first && first.Equals(us.SiloAddress);
}
