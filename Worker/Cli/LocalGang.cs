using System.Globalization;
using System.Security.Cryptography;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Cli;

/// <summary>
/// A gang of rank processes on this machine for one piece of work, started and told who they are as an agent and the control plane would.
/// </summary>
internal sealed class LocalGang<T> : IDisposable
    where T : class
{
    /// <summary>Each rank is a process with libtorch in it, some 200 MB.</summary>
    public const int MostRanks = 64;

    private readonly Channel<AgentNews> _news = Channel.CreateUnbounded<AgentNews>();
    private readonly RankPort _port;
    private readonly RankProcess?[] _processes;
    private readonly string _name;
    private readonly TextWriter _errors;

    private LocalGang(string name, int ranks, TextWriter errors)
    {
        (_name, _errors, _port) = (name, errors, new RankPort(_news.Writer));
        _processes = new RankProcess?[ranks];
    }

    /// <param name="launch">What all ranks are to do; each is told its number and the roster.</param>
    /// <param name="result">What a rank ends its work with, of its reports.</param>
    /// <returns>Each rank's result.</returns>
    /// <exception cref="InvalidDataException">A rank ended without its result; the message is of the first that did.</exception>
    public static T[] Run(string name, int ranks, RankLaunch launch, Func<RankReport, T?> result, TextWriter errors)
    {
        using var gang = new LocalGang<T>(name, ranks, errors);
        return gang.Results(launch, result).GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        foreach (var process in _processes)
        {
            process?.Kill();
        }
        _port.Dispose();
    }

    private async Task<T[]> Results(RankLaunch launch, Func<RankReport, T?> result)
    {
        for (var rank = 0; rank < _processes.Length; rank++)
        {
            // On this thread, which outlives them: ranks die with the thread that started them.
            var process = _processes[rank] = RankProcess.Start(rank, program: null, _port.Port, _news.Writer, TimeProvider.System);
            _port.Expect(process);
            _ = process.Watch();
        }
        var (ports, results) = (new int[_processes.Length], new T?[_processes.Length]);
        string? failure = null;
        // The first that fails by time is told; the others end because it did.
        for (var ended = 0; ended < _processes.Length;)
        {
            switch (await _news.Reader.ReadAsync())
            {
                case AgentNews.Said { Report.Ready: { } ready } said:
                    ports[said.Slot] = ready.PeerPort;
                    if (!ports.Contains(0))
                    {
                        Launch(launch, ports);
                    }
                    break;
                case AgentNews.Said { Report.Failed: { } failed } said:
                    failure ??= $"rank {said.Slot}: {failed.Error}";
                    break;
                case AgentNews.Said said:
                    results[said.Slot] ??= result(said.Report);
                    break;
                case AgentNews.Exited exited:
                    ended++;
                    _processes[exited.Slot] = null;
                    if (results[exited.Slot] is null || exited.ExitCode != 0)
                    {
                        failure ??= $"rank {exited.Slot} ended with code "
                            + $"{exited.ExitCode.ToString(CultureInfo.InvariantCulture)} and no word.";
                        Array.ForEach(_processes, p => p?.Kill());
                    }
                    break;
                case AgentNews.Printed printed:
                    if (printed.Take() is { Error: true, Text: var line } && failure is null)
                    {
                        _errors.WriteLine(line);
                    }
                    break;
            }
        }
        return failure is null ? [.. results.OfType<T>()] : throw new InvalidDataException(failure);
    }

    private void Launch(RankLaunch launch, int[] ports)
    {
        var members = ports.Select((port, rank) => new Parallel.GangMember(rank, "127.0.0.1", port));
        var roster = Rosters.ToProto(Roster.Of(_name, term: 1, Convert.ToHexString(RandomNumberGenerator.GetBytes(16)), members));
        for (var rank = 0; rank < _processes.Length; rank++)
        {
            var own = launch.Clone();
            (own.Rank, own.Roster) = (rank, roster);
            _processes[rank]?.Send(new RankOrder { Launch = own });
        }
    }
}
