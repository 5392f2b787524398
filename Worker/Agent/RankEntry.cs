using System.Globalization;
using System.Net;
using System.Net.Sockets;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The body of every rank process: tied to its agent, warmed up, then waiting for what to train. A rank that is not needed yet waits
/// here with all libraries loaded, so that a restart costs neither a process start nor their loading.
/// </summary>
public static class RankEntry
{
    public const string ParentVariable = "DSOPS_AGENT_PID";

    /// <summary>Set by the agent: its --peer-host.</summary>
    public const string PeerHostVariable = "DSOPS_PEER_HOST";

    /// <summary>Exit code of a rank that failed; its message went to the agent and to standard error.</summary>
    public const int Failed = 1;

    public const int Usage = 2;

    /// <summary>
    /// Exit code of a rank that cannot train on what it was given (sysexits' EX_DATAERR): the next launch would end the same.
    /// </summary>
    public const int BadInput = 65;

    /// <summary>
    /// Exit code of a rank that found checkpoints of its stage and can use none (EX_NOINPUT): only a person may begin at step 0 again.
    /// </summary>
    public const int NoCheckpoint = 66;

    /// <summary>Exit code of a rank that met a number that is not finite: the next number beyond sysexits'.</summary>
    public const int NotFinite = 79;

    /// <summary>Exit code of a rank whose agent is gone.</summary>
    public const int AgentGone = 75;

    /// <summary>
    /// Where a rank listens for the others of its gang: on the address by which they reach its node, and on all of them, old and new
    /// kind, where that is a name.
    /// </summary>
    public static IPAddress PeerAddress(string? host) => string.IsNullOrEmpty(host) ? IPAddress.Loopback
        : IPAddress.TryParse(host, out var address) ? address : Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any;

    /// <summary>Call on the main thread.</summary>
    /// <param name="warmUp">Loads libraries and does whatever makes the first step slow. Must not leave a trace in numbers.</param>
    /// <param name="train">Trains until it is done or told to stop.</param>
    /// <param name="prepare">Begins what a standby is to make ready, beside all else, and returns at once. Null: there is nothing.</param>
    public static int Run(
        Func<RankReady> warmUp, Action<RankLaunch, IRankLink, CancellationToken> train, Action<RankPrepare, IRankLink>? prepare = null)
    {
        if (RankLinkAddress.FromEnvironment() is not { } address
            || !int.TryParse(Environment.GetEnvironmentVariable(ParentVariable), CultureInfo.InvariantCulture, out int parent))
        {
            Console.Error.WriteLine("A rank is started by its agent and told by it what to train. Start 'dsops-worker agent' instead.");
            return Usage;
        }

        if (!Posix.DieWithParent(parent))
        {
            return AgentGone;
        }

        try
        {
            using var link = RankLink.Connect(address, _ => Posix.ExitNow(AgentGone), prepare ?? ((_, _) => { }));
            return Train(link, warmUp, train);
        }
        catch (SocketException e)
        {
            Console.Error.WriteLine($"The agent cannot be reached at 127.0.0.1:{address.Port}: {e.Message}");
            return AgentGone;
        }
    }

    /// <returns>Why the rank has left its gang and waits for another launch; null: it is done, or was told to end.</returns>
    private static RankLeftGang? TrainOnce(RankLink link, RankLaunch launch, Action<RankLaunch, IRankLink, CancellationToken> train)
    {
        try
        {
            train(launch, link, link.Stopping);
            return null;
        }
        catch (PeerLostException e) when (launch.Roster is not null && link.StopOrder is null)
        {
            return new RankLeftGang { Reason = e.Message, LostPeer = e.Rank };
        }
        catch (OperationCanceledException e) when (link.Regrouping.IsCancellationRequested && link.StopOrder is null)
        {
            return new RankLeftGang { Reason = e.Message };
        }
    }

    private static int Train(RankLink link, Func<RankReady> warmUp, Action<RankLaunch, IRankLink, CancellationToken> train)
    {
        try
        {
            link.Report(new RankReport { Ready = warmUp() });
            // Not awaited: the wish to die with the agent belongs to the main thread.
            while (link.Launch().GetAwaiter().GetResult() is { } launch)
            {
                if (TrainOnce(link, launch, train) is not { } left)
                {
                    break;
                }

                link.Report(new RankReport { LeftGang = left });
            }

            return 0;
        }
        catch (OperationCanceledException) when (link.StopOrder is not null)
        {
            return 0;
        }
        catch (NotFiniteException e)
        {
            link.Report(new RankReport { Failed = new RankFailed { Error = e.Message, NotFinite = e.Broke } });
            if (e.Sample is not null)
            {
                // Only now: who hears of the step has heard of its reason.
                link.Sample(e.Sample);
            }

            Console.Error.WriteLine(e.Message);
            return NotFinite;
        }
        catch (Exception e)
        {
            // The outermost frame of the process catches all: whatever training threw becomes the rank's last words.
            var failed = new RankFailed { Error = e.Message, Fault = Fault.Of(e) };
            if (e is PeerLostException { Rank: var lost })
            {
                failed.LostPeer = lost;
            }

            link.Report(new RankReport { Failed = failed });
            Console.Error.WriteLine(e);
            return e switch
            {
                InvalidDataException or BadInputException => BadInput,
                NoUsableCheckpointException => NoCheckpoint,
                _ => Failed,
            };
        }
    }
}

/// <summary>There were checkpoints, and none can be used. Beginning again at step 0 is for a person to say.</summary>
public sealed class NoUsableCheckpointException(string message) : IOException(message);
