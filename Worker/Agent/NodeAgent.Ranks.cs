using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Worker.Agent;

/// <summary>The processes: what is done with them, what is seen of them, and what is done for them while nobody can be asked.</summary>
internal sealed partial class NodeAgent
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>Ours: a listing of one folder, on a disk that many nodes share.</summary>
    private static readonly TimeSpan TrimEvery = TimeSpan.FromSeconds(10);

    /// <summary>Of an attempt's term: an agent makes a handful of launches by itself.</summary>
    private const int LocalTryBits = 16;

    private readonly Dictionary<int, MemoryKills> _memory = [];
    private readonly KeptMemory _kept = new();
    private readonly HashSet<string> _faults = [];
    private ((int Attempt, int LocalTry) Launch, GangRoster Roster)? _formed;
    private DateTimeOffset _lookedAt;
    private UntoldSteps? _untold;
    private LaunchTrace? _launch;
    private DateTimeOffset _trimmedAt;

    /// <summary>What is asked of a process that is gone already is done.</summary>
    private Task Act(AgentAction action) => action.Match(
        spawn: spawn => Spawn(spawn.Rank),
        launch: launch => On(launch.Slot, rank => Launch(rank, launch.Rank)),
        reseat: reseat => On(reseat.Slot, rank => Launch(rank, reseat.Rank)),
        tell: tell => On(tell.Slot, Tell),
        askRegroup: ask => On(ask.Slot, rank =>
        {
            Replace(rank with { RegroupAskedAt = Now });
            Send(ask.Slot, new RankOrder { Regroup = new RankRegroup { Reason = ask.Reason } });
        }),
        askSave: ask => On(ask.Slot, rank =>
        {
            Replace(rank with { SaveOrder = ask.SaveOrder });
            Send(ask.Slot, new RankOrder { Save = new RankSave { Reason = ask.Reason } });
        }),
        askStop: ask => On(ask.Slot, rank =>
        {
            Replace(rank with { StopAsked = true });
            Send(ask.Slot, new RankOrder { Stop = new RankStop { Reason = ask.Reason, Save = true } });
        }),
        kill: kill => On(kill.Slot, _ => _processes.GetValueOrDefault(kill.Slot)?.Kill()),
        prepare: prepare => On(prepare.Slot, standby => Prepare(standby, prepare.LocalRank)),
        end: _ => throw new System.Diagnostics.UnreachableException("the loop ends by it before it is acted on"));

    private Task On(int slot, Action<RankSeen> act)
    {
        if (Find(slot) is { } rank)
        {
            act(rank);
        }

        return Task.CompletedTask;
    }

    private async Task Spawn(int? rankNumber)
    {
        int slot = ++_slots;
        var asked = Now;
        RankSeen rank;
        try
        {
            var process = await _spawn.Run(() =>
            {
                var started = RankProcess.Start(slot, _options.RankProgram, _port.Port, _news.Writer, _clock);
                _port.Expect(started);
                return started;
            });
            _processes[slot] = process;
            _memory[slot] = new MemoryKills();
            rank = new RankSeen(slot, process.Pid, asked);
            _ranks = [.. _ranks.Where(r => r.Alive || !r.Standby), rank];
            _ = process.Watch();
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            // As a shell says it: 127, not found.
            rank = (new RankSeen(slot, 0, asked) with { Error = $"the rank program cannot be started: {e.Message}" }).End(127, "", asked);
            _ranks = _ranks.Add(rank);
            _log(rank.Error);
        }

        if (rankNumber is { } number)
        {
            Launch(rank, number);
        }
    }

    private void Launch(RankSeen standby, int number)
    {
        var training = (Wanted.Training)_wanted;
        int local = training.Assignment.Ranks.FirstOrDefault(p => p.Rank == number && p.Node == _options.Node)?.LocalRank ?? number;
        var rank = standby.LaunchedAs(number, training.Attempt, Now, training.LocalTry, (local, training.Assignment.WorldSize));
        Replace(rank);
        _output.Launched(rank);
        if (training.Assignment.WorldSize <= 1)
        {
            Tell(rank);
        }
        _log($"rank {number} of attempt {rank.Attempt} is pid {rank.Pid}, {(rank.Life == RankLife.Ready ? "warm" : "cold")}");
        _contact.Urgent = true;
    }

    private void Prepare(RankSeen standby, int localRank)
    {
        Replace(standby with { PreparedFor = localRank });
        var device = ((Wanted.Training)_wanted).Assignment.Plan.Device;
        Send(standby.Slot, new RankOrder { Prepare = new RankPrepare { Device = device, LocalRank = localRank } });
    }

    private void Prepared(RankSeen standby, RankPrepared done) => _log(done.Problem.Length > 0
        ? $"standby pid {standby.Pid} could not make the GPU of local rank {done.LocalRank} ready: {done.Problem}"
        : string.Create(
            CultureInfo.InvariantCulture,
            $"standby pid {standby.Pid} has the GPU of local rank {done.LocalRank} ready after {done.Seconds:F1} s"));

    private void Tell(RankSeen rank)
    {
        var training = (Wanted.Training)_wanted;
        // What the agent launches by itself is no part of what it was told.
        string traceparent = training.LocalTry == 0 ? _launch?.Own ?? "" : "";
        Replace(rank with
        {
            Told = true,
            ToldAt = Now,
            Traceparent = traceparent,
            Pinned = [.. training.Assignment.PinnedSteps],
        });
        Send(rank.Slot, new RankOrder
        {
            Launch = new RankLaunch
            {
                Assignment = training.Assignment, Rank = rank.Rank ?? 0,
                Roster = training.Assignment.WorldSize <= 1 ? null : training.Roster ?? FormHere(training),
                Memory = { MemoryOf(training, rank.LocalRank ?? 0) },
                Traceparent = traceparent,
            },
        });
    }

    /// <summary>
    /// Of a place on the node: the gang may shrink, and whoever is there then has another number. Who was ever alone has none.
    /// </summary>
    private string[] MemoryOf(Wanted.Training training, int localRank)
    {
        if ((training.Assignment.WorldSize <= 1 && !_kept.Holds(localRank))
            || training.Assignment.Plan?.Checkpoints is { InMemoryEvery: < 0 })
        {
            return [];
        }

        try
        {
            return _kept.Of(localRank);
        }
        catch (IOException e)
        {
            _log($"local rank {localRank} keeps no state in memory: {e.Message}");
            return [];
        }
    }

    /// <summary>All ranks of the gang are on this node. Its own formings come one after another in one attempt.</summary>
    private GangRoster FormHere(Wanted.Training training)
    {
        if (_formed is not { } formed || formed.Launch != (training.Attempt, training.LocalTry))
        {
            var roster = new GangRoster
            {
                Gang = $"{_options.Run}/{_options.Stage}", Term = ((long)training.Attempt << LocalTryBits) + training.LocalTry,
                Token = Convert.ToHexString(RandomNumberGenerator.GetBytes(16)),
                Members =
                {
                    _ranks.Where(training.Has)
                        .Select(r => new GangMember { Rank = r.Rank ?? 0, Host = _options.PeerHost, Port = r.PeerPort }),
                },
            };
            _formed = formed = ((training.Attempt, training.LocalTry), roster);
        }

        return formed.Roster;
    }

    /// <summary>Each rank that has its launch is told once what is pinned now; the launch says what was then.</summary>
    private void Pin(IReadOnlyCollection<long> steps)
    {
        foreach (var rank in _ranks.Where(r => r.Alive && r.Told && !steps.SequenceEqual(r.Pinned)).ToList())
        {
            Replace(rank with { Pinned = [.. steps] });
            Send(rank.Slot, new RankOrder { Pins = new RankPins { Steps = { steps } } });
        }
    }

    /// <summary>A drill's faults come with several replies; each is one, and of one launch.</summary>
    private void HandOn(IEnumerable<RankFault> faults)
    {
        foreach (var fault in faults.Where(f => _wanted is Wanted.Training { Assignment.AllowsFaults: true }))
        {
            var rank = _ranks.FirstOrDefault(
                r => r is { Alive: true, Told: true } && r.Rank == fault.Rank && r.Attempt == fault.Attempt);
            if (rank is not null && _faults.Add(fault.Id))
            {
                _log($"a drill asks rank {fault.Rank} for '{fault.KindCase}'");
                Send(rank.Slot, new RankOrder { Fault = fault });
            }
        }
    }

    private void Send(int slot, RankOrder order)
    {
        if (_processes.TryGetValue(slot, out var process))
        {
            process.Send(order);
        }
    }

    /// <summary>What /proc says of the ranks, and the size of the agent's own log; each second.</summary>
    private void LookAtProcesses()
    {
        var now = Now;
        if (now - _lookedAt < LookEvery)
        {
            return;
        }

        _lookedAt = now;
        if (now - _trimmedAt >= TrimEvery)
        {
            _trimmedAt = now;
            _untold?.Acknowledged(_reports.ToldBefore);
        }

        CappedLog.CopyAndEmpty(Path.Combine(_options.PodDirectory, "agent.log"));
        foreach (var rank in _ranks.Where(r => r.Alive))
        {
            _memory.GetValueOrDefault(rank.Slot)?.Look(rank.Pid, now);
            bool halted = Posix.IsHalted(rank.Pid);
            if (halted != rank.Halted)
            {
                Replace(rank with { Halted = halted });
                _contact.Urgent |= !rank.Standby;
            }
        }
    }

    /// <summary>Once: what an agent before this one had not told of the steps that the launch goes on from.</summary>
    private async Task Recall(long step)
    {
        if (_untold is not null || _wanted is not Wanted.Training training || UntoldSteps.Open(training.Assignment) is not { } untold)
        {
            return;
        }

        _untold = untold;
        var samples = await untold.Recall(step, training.Attempt);
        foreach (var sample in samples)
        {
            _reports.Add(sample);
        }

        if (samples is [var first, .., var last])
        {
            _log($"steps {first.Step} to {last.Step} of an agent before this one are reported again");
        }
    }

    private void ForgetWhatIsTold()
    {
        if (_reports.Samples == 0)
        {
            _untold?.Clear(_wanted.Attempt);
        }
    }

    private string MemoryKillOf(int slot) => _memory.GetValueOrDefault(slot)?.Evidence() ?? "";

    private void LaunchIfAlone()
    {
        var alone = _contact.Alone(Now);
        if (AlonePlan.Decide(_wanted, _ranks, _options.Node, alone, Now) is not { } decided)
        {
            return;
        }

        var (next, ended) = decided;
        _reports.Add(new LocalRestart
        {
            At = Stamp,
            Attempt = next.Attempt,
            LocalTry = next.LocalTry,
            Ended = ended.ToStatus(Now),
            WithoutContact = Duration.FromTimeSpan(alone ?? TimeSpan.Zero),
            Reason = _contact.Undecided,
        });
        // How it ended is told by the report; as a rank it is superseded.
        _ranks = [.. _ranks.Where(r => r.Alive || !next.Supersedes(r) || r.Standby)];
        Change((next, $"rank {ended.Rank} {ended.HowItEnded} at step {ended.Step}; {_contact.Undecided}; alone for "
            + $"{AwakeClock.Words(alone ?? TimeSpan.Zero)};"
            + $" launched again here, local try {next.LocalTry} of attempt {next.Attempt} ({next.TriesSpent} of {AlonePlan.Budget} "
            + "without a new checkpoint)"));
    }

    private void FirstStep(RankSeen rank)
    {
        _log($"rank {rank.Rank} of attempt {rank.Attempt} made its first step, {rank.Step}: {Describe(rank.LaunchSeconds())}");
        if (rank.LocalTry > 0)
        {
            Note($"launched rank {rank.Rank} again by itself (local try {rank.LocalTry} of attempt {rank.Attempt}): it goes on "
                + $"from step {rank.Step - 1},"
                + $" first new step {rank.Step} after {AwakeClock.Words(Now - (rank.LaunchedAt ?? Now))}");
        }
    }

    /// <summary>A line for the log and the run's timeline.</summary>
    private void Note(string text)
    {
        _log(text);
        _reports.Add(new WorkerNote { At = Stamp, Text = $"{_options.Node} {text}", Attempt = _wanted.Attempt });
    }

    private static string Describe(ImmutableArray<(string Part, double Seconds)> parts) =>
        string.Join(", ", parts.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Part} {p.Seconds:0.000} s")));

    private IEnumerable<RankStatus> Statuses() => _ranks.Where(r => !r.Standby).Select(r => r.ToStatus(Now));

    private AttemptRef Attempt(int number) => new() { Run = _options.Run, Stage = _options.Stage, Attempt = number };

    private RankSeen? Find(int slot) => _ranks.FirstOrDefault(r => r.Slot == slot);

    private void Replace(RankSeen rank) => _ranks = [.. _ranks.Select(r => r.Slot == rank.Slot ? rank : r)];
}
