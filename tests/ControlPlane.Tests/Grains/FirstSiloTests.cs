using System.Collections.Immutable;
using System.Net;
using DeepSeekOps.ControlPlane.Grains;
using Orleans.Configuration;
using Orleans.Runtime;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>People are told, and declared pipelines submitted, by one of the silos.</summary>
public sealed class FirstSiloTests
{
    private static readonly SiloAddress[] Silos =
        [.. Enumerable.Range(1, 3).Select(i => SiloAddress.New(IPAddress.Parse($"10.0.0.{9 - i}"), 11_111, generation: i))];

    [Fact]
    public void The_longest_at_work_is_the_first_and_the_next_one_once_it_is_gone()
    {
        Assert.Equal([true, false, false], Firsts(SiloStatus.Active, SiloStatus.Active, SiloStatus.Active));
        Assert.Equal([false, true, false], Firsts(SiloStatus.Dead, SiloStatus.Active, SiloStatus.Active));
        Assert.Equal([false, false, true], Firsts(SiloStatus.Dead, SiloStatus.Joining, SiloStatus.Active));
        Assert.Equal([false, false, false], Firsts(SiloStatus.Dead, SiloStatus.Dead, SiloStatus.Joining));
    }

    private static bool[] Firsts(params SiloStatus[] states)
    {
        var members = Silos.Zip(states, (silo, state) => new ClusterMember(silo, state, silo.ToString()))
            .ToImmutableDictionary(m => m.SiloAddress);
        var snapshot = new ClusterMembershipSnapshot(members, new MembershipVersion(1));
        return [.. Silos.Select(silo => new FirstSilo(new Members(snapshot), new Us(silo)).IsUs)];
    }

    private sealed class Members(ClusterMembershipSnapshot now) : IClusterMembershipService
    {
        public ClusterMembershipSnapshot CurrentSnapshot => now;

        public IAsyncEnumerable<ClusterMembershipSnapshot> MembershipUpdates => throw new NotSupportedException();

        public ValueTask Refresh(MembershipVersion minimumVersion = default, CancellationToken cancellationToken = default) => default;

        public Task<bool> TryKill(SiloAddress siloAddress) => throw new NotSupportedException();
    }

    private sealed class Us(SiloAddress address) : ILocalSiloDetails
    {
        public string Name => "";

        public string ClusterId => "";

        public string DnsHostName => "";

        public SiloAddress SiloAddress => address;

        public SiloAddress GatewayAddress => address;
    }
}
