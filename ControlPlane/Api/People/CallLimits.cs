using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Threading.RateLimiting;
using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>A call that is not answered now.</summary>
/// <param name="Words">Whose calls are too many, and how many are answered.</param>
public sealed record TooMany(string Words, TimeSpan After);

/// <summary>
/// How many calls are answered of whom, by each process of the control plane. The owner's are not counted: whoever has his token has the
/// machine (docs/decisions/0079-calls-are-counted-by-who-makes-them.md).
/// </summary>
internal sealed class CallLimits : IDisposable
{
    /// <summary>
    /// What one address may show that opens nothing: enough for a team behind one address whose programs have all kept an old token, and
    /// 86,400 guesses a day at 256 bits.
    /// </summary>
    public static readonly Budget OfAddress = new(200, 1);

    /// <summary>
    /// Calls of one person or program, by all his pages and verbs: each asks a handful a second. A script that asks as fast as it can is
    /// held to some tenths of a core.
    /// </summary>
    public static readonly Budget OfPerson = new(1_000, 100);

    /// <summary>Acts that somebody may not do: each leaves a line in the audit log.</summary>
    public static readonly Budget OfRefusals = new(100, 1);

    /// <summary>
    /// An agent says one thing after the other: a beat a second, and lines of sixteen ranks. After an outage it brings what it has kept.
    /// </summary>
    public static readonly Budget OfAgent = new(1_000, 100);

    /// <summary>Of tokens: nobody makes entries but by ones that open.</summary>
    private const int OpenedMost = 10_000;

    private readonly ConcurrentDictionary<string, byte> opened = new(StringComparer.Ordinal);
    private readonly PartitionedRateLimiter<string> addresses = OfAddress.ByName();
    private readonly PartitionedRateLimiter<string> people = OfPerson.ByName();
    private readonly PartitionedRateLimiter<string> refusals = OfRefusals.ByName();
    private readonly PartitionedRateLimiter<string> agents = OfAgent.ByName();

    /// <summary>Before what an address shows is looked up. Null: it may be.</summary>
    public TooMany? ToShow(IPAddress? address) => Said(Left(addresses, Network(address)), OfAddress,
        $"From {Network(address)} too much was shown that opens nothing");

    /// <summary>What it has shown opens nothing.</summary>
    public void OpenedNothing(IPAddress? address) => addresses.AttemptAcquire(Network(address)).Dispose();

    /// <summary>A token that has opened may be shown from there whoever else guesses; whether it still opens is looked up.</summary>
    public void Opened(string token)
    {
        // To count is to stop all others: only where one is added.
        if (opened.TryAdd(Digest(token), 0) && opened.Count > OpenedMost)
        {
            opened.Clear();
        }
    }

    public bool HasOpened(string token) => opened.ContainsKey(Digest(token));

    /// <summary>One more call of somebody who was let in. Null: it is answered.</summary>
    public TooMany? Of(Holder who)
    {
        if (who.IsOwner)
        {
            return null;
        }

        string name = Name(who);
        return Said(Left(refusals, name), OfRefusals, $"The {who.InWords} was refused too often")
            ?? Said(Take(people, name), OfPerson, $"The {who.InWords} makes too many calls");
    }

    /// <summary>He may not do what he asked for.</summary>
    public void Refused(Holder who)
    {
        if (!who.IsOwner)
        {
            refusals.AttemptAcquire(Name(who)).Dispose();
        }
    }

    /// <summary>One more report of an agent. Null: it is heard.</summary>
    public TooMany? Of(AgentClaims agent) => Said(Take(agents, agent.ToString()), OfAgent,
        $"The agent of {agent.Gang} on {agent.Node.Name} reports too often");

    private static string Digest(string token) => Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    public void Dispose()
    {
        addresses.Dispose();
        people.Dispose();
        refusals.Dispose();
        agents.Dispose();
    }

    /// <summary>Whoever has one address of IPv6 has the other 2^64 of its network.</summary>
    private static string Network(IPAddress? address)
    {
        if (address is null || address.IsIPv4MappedToIPv6 || address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address?.MapToIPv4().ToString() ?? "an unknown address";
        }

        byte[] bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return $"{new IPAddress(bytes)}/64";
    }

    /// <summary>Everybody by tokens of the provider's has the same id here.</summary>
    private static string Name(Holder who) => $"{who.TokenId}\n{who.Person?.Issuer}\n{who.Person?.Subject}";

    private static TimeSpan? Take(PartitionedRateLimiter<string> limiter, string name) => Wait(limiter.AttemptAcquire(name));

    /// <summary>To ask for none is granted as long as any part of one is left.</summary>
    private static TimeSpan? Left(PartitionedRateLimiter<string> limiter, string name) =>
        limiter.GetStatistics(name) is { CurrentAvailablePermits: < 1 } ? Budget.Every : null;

    private static TimeSpan? Wait(RateLimitLease lease)
    {
        using (lease)
        {
            return lease.IsAcquired ? null
                : lease.TryGetMetadata(MetadataName.RetryAfter, out var after) ? after : Budget.Every;
        }
    }

    private static TooMany? Said(TimeSpan? after, Budget budget, string whose)
    {
        if (after is not { } wait)
        {
            return null;
        }

        var whole = TimeSpan.FromSeconds(Math.Max(1, Math.Ceiling(wait.TotalSeconds)));
        return new TooMany(FormattableString.Invariant(
            $"{whose}: {budget.AtOnce:N0} at once and {budget.ASecond:N0} a second are answered. Try again in {whole.TotalSeconds:0} s."),
            whole);
    }
}

/// <summary>So many at once, and then so many a second.</summary>
internal sealed record Budget(int AtOnce, int ASecond)
{
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>One of its own for each name; those of names that are not heard any more are forgotten.</summary>
    public PartitionedRateLimiter<string> ByName() => PartitionedRateLimiter.Create<string, string>(name =>
        RateLimitPartition.GetTokenBucketLimiter(name, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = AtOnce, TokensPerPeriod = ASecond, ReplenishmentPeriod = Every, QueueLimit = 0,
        }), StringComparer.Ordinal);
}
