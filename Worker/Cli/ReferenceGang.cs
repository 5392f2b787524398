using System.Globalization;
using System.Security.Cryptography;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;

namespace DeepSeekOps.Worker.Cli;

/// <summary>
/// `model check FOLDER --parallel …`: a gang of rank processes on this machine, started and told who they are as an agent and the control
/// plane would, and their parts put together.
/// </summary>
internal sealed class ReferenceGang : IDisposable
{
    /// <summary>Each rank is a process with libtorch in it, some 200 MB.</summary>
    public const int MostRanks = 64;

    private readonly Channel<AgentNews> _news = Channel.CreateUnbounded<AgentNews>();
    private readonly RankPort _port;
    private readonly RankProcess?[] _processes;
    private readonly GangLayout _layout;
    private readonly TextWriter _errors;

    private ReferenceGang(GangLayout layout, TextWriter errors)
    {
        (_layout, _errors, _port) = (layout, errors, new RankPort(_news.Writer));
        _processes = new RankProcess?[layout.Ranks];
    }

    /// <exception cref="CheckpointFormatException">The folder's numbers cannot be compared; the message is a rank's.</exception>
    /// <exception cref="InvalidOperationException">A rank ended without its part.</exception>
    public static ReferenceDeviations Run(string folder, GangLayout layout, TextWriter errors)
    {
        GangCheck.Require(folder, layout);
        var expected = ReferenceNumbers.ReadExpected(folder);
        using var gang = new ReferenceGang(layout, errors);
        return Deviations(gang.Compute(Path.GetFullPath(folder)).GetAwaiter().GetResult(), expected, folder);
    }

    public void Dispose()
    {
        foreach (var process in _processes)
        {
            process?.Kill();
        }
        _port.Dispose();
    }

    private async Task<ReferencePart[]> Compute(string folder)
    {
        for (var rank = 0; rank < _layout.Ranks; rank++)
        {
            // On this thread, which outlives them: ranks die with the thread that started them.
            var process = _processes[rank] = RankProcess.Start(rank, program: null, _port.Port, _news.Writer, TimeProvider.System);
            _port.Expect(process);
            _ = process.Watch();
        }
        var (ports, parts) = (new int[_layout.Ranks], new ReferencePart?[_layout.Ranks]);
        string? failure = null;
        // The first that fails by time is told; the others end because it did.
        for (var ended = 0; ended < _layout.Ranks;)
        {
            switch (await _news.Reader.ReadAsync())
            {
                case AgentNews.Said { Report.Ready: { } ready } said:
                    ports[said.Slot] = ready.PeerPort;
                    if (!ports.Contains(0))
                    {
                        Launch(folder, ports);
                    }
                    break;
                case AgentNews.Said { Report.Reference: { } part } said:
                    parts[said.Slot] = part;
                    break;
                case AgentNews.Said { Report.Failed: { } failed } said:
                    failure ??= $"rank {said.Slot}: {failed.Error}";
                    break;
                case AgentNews.Exited exited:
                    ended++;
                    _processes[exited.Slot] = null;
                    if (parts[exited.Slot] is null || exited.ExitCode != 0)
                    {
                        failure ??= $"rank {exited.Slot} ended with code "
                            + $"{exited.ExitCode.ToString(CultureInfo.InvariantCulture)} and no word.";
                        Array.ForEach(_processes, p => p?.Kill());
                    }
                    break;
                case AgentNews.Printed { Line: { Error: true, Text: var line } } when failure is null:
                    _errors.WriteLine(line);
                    break;
            }
        }
        return failure is null ? [.. parts.OfType<ReferencePart>()] : throw new InvalidDataException(failure);
    }

    private void Launch(string folder, int[] ports)
    {
        var roster = Rosters.ToProto(Roster.Of(
            "model check", term: 1, Convert.ToHexString(RandomNumberGenerator.GetBytes(16)),
            ports.Select((port, rank) => new Parallel.GangMember(rank, "127.0.0.1", port))));
        for (var rank = 0; rank < _layout.Ranks; rank++)
        {
            _processes[rank]?.Send(new RankOrder
            {
                Launch = new RankLaunch
                {
                    Rank = rank, Roster = roster, Reference = new ReferenceWork
                    {
                        Folder = folder, WorldSize = _layout.Ranks, Layout = _layout.ToProto(),
                        Threads = Math.Max(1, Environment.ProcessorCount / _layout.Ranks),
                    },
                },
            });
        }
    }

    private static ReferenceDeviations Deviations(ReferencePart[] parts, ExpectedNumbers expected, string folder)
    {
        var squared = parts.SelectMany(p => p.SquaredGradients).GroupBy(g => g.Key).ToDictionary(g => g.Key, g => g.Sum(own => own.Value));
        return squared.Keys.Except(expected.GradNorms.Keys).FirstOrDefault() is { } odd
            ? throw new CheckpointFormatException($"{folder}: {odd} stands only in one of config.json's model and "
                + "expected.json's grad_norms.")
            : new ReferenceDeviations(
                parts.Max(p => p.Logits), parts.Max(p => p.Loss),
                expected.GradNorms.Max(e => ReferenceCheck.RelativeError(Math.Sqrt(squared.GetValueOrDefault(e.Key)), e.Value)),
                parts.Max(p => p.AdamwLosses));
    }
}
