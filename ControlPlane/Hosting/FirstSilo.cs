using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>What is done once for all silos is done by the first of those that work, by address. One that is alone is the first.</summary>
internal sealed class FirstSilo(IClusterMembershipService silos, ILocalSiloDetails us)
{
    public bool IsUs => silos.CurrentSnapshot.Members.Values.Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress).Min()
        is { } first && first.Equals(us.SiloAddress);
}
