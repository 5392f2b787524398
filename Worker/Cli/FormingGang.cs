using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Cli;

/// <summary>How long one loss of a rank kept a gang from its next sum, by phases, in seconds. Each is that of the slowest rank.</summary>
/// <param name="Noticed">From kill -9 until its agent has seen the end of the process.</param>
/// <param name="LetGo">From then until all others have broken off their calls and given up their connections.</param>
/// <param name="Device">From the launch of the next term until each rank has used its device, the new one for the first time.</param>
/// <param name="Sockets">Until all are connected.</param>
/// <param name="Gpus">Until the GPUs are.</param>
/// <param name="FirstCall">The first sum.</param>
/// <param name="Total">From kill -9 until every rank has the first sum.</param>
internal sealed record Formed(
    int Lost, double Noticed, double LetGo, double Device, double Sockets, double Gpus, double FirstCall, double Total, string Carrier);

/// <summary>
/// A gang of rank processes on this machine that loses one of them again and again. A process that waits, as an agent keeps one, takes its
/// place, and the others form anew in theirs; or they go on without it, and it takes its place only for the next loss.
/// </summary>
internal sealed class FormingGang : IDisposable
{
    private readonly Channel<AgentNews> _news = Channel.CreateUnbounded<AgentNews>();
    private readonly RankPort _port;
    private readonly GangLayout _layout;
    private readonly string _device;
    private readonly string _shrink;
    private readonly TextWriter _errors;
    private readonly Random _draws;
    private readonly List<RankProcess> _processes = [];
    private readonly Dictionary<int, int> _doors = [];
    private readonly HashSet<int> _lost = [];
    private readonly SpawnThread _spawn = new();

    // By rank: whose process it is, and which GPU that has.
    private readonly int[] _seats;
    private readonly Dictionary<int, int> _gpus = [];
    private int _standby;
    private long _term;

    private FormingGang(GangLayout layout, string device, string shrink, int seed, TextWriter errors)
    {
        (_layout, _device, _shrink, _errors, _draws) = (layout, device, shrink, errors, new Random(seed));
        _port = new RankPort(_news.Writer);
        _seats = [.. Enumerable.Range(0, layout.Ranks)];
    }

    /// <param name="shrink">Empty: a waiting process takes the lost one's place. "anew" or "nccl": nobody does.</param>
    /// <param name="told">Is told of each loss, once the others go on.</param>
    /// <returns>One for each loss.</returns>
    /// <exception cref="InvalidDataException">A rank ended by itself.</exception>
    public static IReadOnlyList<Formed> Run(
        GangLayout layout, string device, string shrink, int repeats, int seed, Action<Formed> told, TextWriter errors)
    {
        using var gang = new FormingGang(layout, device, shrink, seed, errors);
        return gang.Repeat(repeats, told).GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        _processes.ForEach(p => p.Kill());
        _port.Dispose();
        _spawn.Dispose();
    }

    private async Task<IReadOnlyList<Formed>> Repeat(int repeats, Action<Formed> told)
    {
        for (var slot = 0; slot < _seats.Length; slot++)
        {
            _gpus[await Start()] = slot;
        }
        await Until(() => _seats.All(_doors.ContainsKey));
        await Form(_seats, lost: null);
        var all = new List<Formed>();
        for (var i = 0; i < repeats; i++)
        {
            // As an agent does: one waits, warm and with its GPU ready, for whoever is lost.
            _standby = await Start();
            await Until(() => _doors.ContainsKey(_standby));
            var rank = _draws.Next(_seats.Length);
            await Prepare(rank);
            all.Add(await Lose(rank));
            told(all[^1]);
            if (_shrink.Length > 0 && i + 1 < repeats)
            {
                await LeaveAll([.. _seats.Where(slot => slot != _standby)]);
                await Form(_seats, lost: null);
            }
        }
        return all;
    }

    private async Task<Formed> Lose(int rank)
    {
        var began = Stopwatch.GetTimestamp();
        var victim = _seats[rank];
        var left = new HashSet<int>();
        double noticed = 0;
        _lost.Add(victim);
        _processes[victim].Kill();
        await Until(() => noticed > 0 && left.Count == _seats.Length - 1, news =>
        {
            if (news is AgentNews.Exited exited && exited.Slot == victim)
            {
                noticed = Stopwatch.GetElapsedTime(began).TotalSeconds;
            }
            else if (news is AgentNews.Said { Report.LeftGang: not null } said)
            {
                left.Add(said.Slot);
            }
        });
        var letGo = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _seats[rank] = _standby;
        _gpus[_standby] = _gpus[victim];
        var times = await (_shrink.Length == 0 ? Form(_seats, lost: null) : Form([.. _seats.Where(slot => slot != _standby)], lost: rank));
        return new Formed(
            rank, noticed, letGo - noticed, times.Max(t => t.DeviceSeconds), times.Max(t => t.SocketsSeconds),
            times.Max(t => t.GpusSeconds), times.Max(t => t.FirstCallSeconds), Stopwatch.GetElapsedTime(began).TotalSeconds,
            times[0].Carrier);
    }

    private async Task Prepare(int rank)
    {
        _processes[_standby].Send(new RankOrder { Prepare = new RankPrepare { Device = _device, LocalRank = _gpus[_seats[rank]] } });
        var prepared = false;
        await Until(() => prepared, news => prepared |= news is AgentNews.Said { Report.Prepared: not null });
    }

    /// <summary>They break off what they do, in their processes.</summary>
    private async Task LeaveAll(int[] slots)
    {
        var left = new HashSet<int>();
        Array.ForEach(slots, slot => _processes[slot].Send(new RankOrder { Regroup = new RankRegroup() }));
        await Until(() => left.Count == slots.Length, news =>
        {
            if (news is AgentNews.Said { Report.LeftGang: not null } said)
            {
                left.Add(said.Slot);
            }
        });
    }

    /// <summary>The next term, from the launch until each rank has told its times.</summary>
    /// <param name="seats">By rank: whose process it is.</param>
    /// <param name="lost">The rank of the term before that has no place in this one; null: each has.</param>
    private async Task<IReadOnlyList<FormingTimes>> Form(int[] seats, int? lost)
    {
        var members = seats.Select((slot, rank) => new Parallel.GangMember(rank, "127.0.0.1", _doors[slot]));
        var token = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
        var roster = Rosters.ToProto(Roster.Of("forming", ++_term, token, members));
        var layout = lost is null ? _layout : _layout with { Ranks = seats.Length };
        for (var rank = 0; rank < seats.Length; rank++)
        {
            var work = new FormingWork
            {
                WorldSize = seats.Length, Layout = layout.ToProto(), Shrinks = _shrink == "nccl",
                Device = _device == "cuda" ? string.Create(CultureInfo.InvariantCulture, $"cuda:{_gpus[seats[rank]]}") : _device,
            };
            if (lost is { } gone && work.Shrinks)
            {
                work.Lost.Add(gone);
            }

            _processes[seats[rank]].Send(new RankOrder { Launch = new RankLaunch { Rank = rank, Roster = roster, Forming = work } });
        }
        var times = new List<FormingTimes>();
        await Until(() => times.Count == seats.Length, news =>
        {
            if (news is AgentNews.Said { Report.Forming: { } told })
            {
                times.Add(told);
            }
        });
        return times;
    }

    private async Task<int> Start()
    {
        var process = await _spawn.Run(() => RankProcess.Start(
            _processes.Count, program: null, _port.Port, _news.Writer, TimeProvider.System));
        _processes.Add(process);
        _port.Expect(process);
        _ = process.Watch();
        return process.Slot;
    }

    private async Task Until(Func<bool> done, Action<AgentNews>? tell = null)
    {
        while (!done())
        {
            var news = await _news.Reader.ReadAsync();
            switch (news)
            {
                case AgentNews.Said { Report.Ready: { } ready } said:
                    _doors[said.Slot] = ready.PeerPort;
                    break;
                case AgentNews.Said { Report.Prepared: { Problem: { Length: > 0 } problem } } said:
                    throw new InvalidDataException($"process {said.Slot}: {problem}");
                case AgentNews.Said { Report.Failed: { } failed } said:
                    throw new InvalidDataException($"process {said.Slot}: {failed.Error}");
                case AgentNews.Exited exited when !_lost.Contains(exited.Slot):
                    throw new InvalidDataException(
                        $"process {exited.Slot} ended with code {exited.ExitCode.ToString(CultureInfo.InvariantCulture)} and no word.");
                case AgentNews.Printed printed:
                    if (printed.Take() is { Error: true, Text: var line })
                    {
                        _errors.WriteLine(line);
                    }
                    break;
            }
            tell?.Invoke(news);
        }
    }
}
