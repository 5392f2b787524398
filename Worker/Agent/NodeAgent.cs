using System.Collections.Immutable;
using System.Globalization;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The agent of one node for one gang: hears its ranks and the control plane, asks <see cref="AgentPlan"/>, and does what it says.
/// One loop owns all of its state.
/// </summary>
internal sealed partial class NodeAgent : IDisposable
{
    public const int Protocol = 1;
    public const int ProtocolRefused = 4;
    public const int GaveUp = 5;

    // Ours: a tenth of the shortest time that an agent looks out for (a second of silence or back-off), so that none is seen much late.
    private static readonly TimeSpan TickEvery = TimeSpan.FromMilliseconds(100);

    private readonly AgentOptions _options;
    private readonly ReadingHands _reader;
    private readonly Standbys _standbys;
    private readonly TimeProvider _clock;
    private readonly AwakeClock _awake;
    private readonly Action<string> _log;
    private readonly Channel<AgentNews> _news = Channel.CreateUnbounded<AgentNews>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ControlPlaneContact _contact;
    private readonly ReportBuffer _reports = new();
    private readonly RankOutput _output;
    private readonly RankPort _port;
    private readonly SpawnThread _spawn = new();
    private readonly Dictionary<int, RankProcess> _processes = [];
    private readonly string _agentId;
    private ImmutableArray<RankSeen> _ranks = [];
    private Wanted _wanted;
    private long _sequence;
    private int _slots;
    private Farewell? _farewell;

    public NodeAgent(AgentOptions options, ReadingHands reader, TimeProvider clock, Action<string> log)
    {
        (_options, _reader, _standbys) = (options, reader, Standbys.Of(options.Standbys));
        _clock = clock;
        _log = log;
        _awake = new AwakeClock(clock);
        _agentId =
            string.Create(
                CultureInfo.InvariantCulture, $"{options.Node}-{Environment.ProcessId}-{clock.GetUtcNow().ToUnixTimeMilliseconds()}");
        _contact = new ControlPlaneContact(options, _news.Writer, Now);
        _output = new RankOutput(options.PodDirectory, Attempt(0), options.Node);
        _port = new RankPort(_news.Writer);
        _wanted = new Wanted.Idle(options.Attempt);
    }

    /// <summary>From a signal handler.</summary>
    public void Signal(string name, bool save) => _news.Writer.TryWrite(new AgentNews.Signalled(name, save));

    /// <returns>The exit code.</returns>
    public async Task<int> Run()
    {
        await using var ticks = _clock.CreateTimer(_ => _news.Writer.TryWrite(new AgentNews.Tick()), null, TimeSpan.Zero, TickEvery);
        await foreach (var news in _news.Reader.ReadAllAsync())
        {
            if (_awake.Look() is { } note)
            {
                Note(note);
            }

            await Take(news);
            LookAtProcesses();
            GiveUpIfAlone();
            LaunchIfAlone();
            foreach (var action in AgentPlan.Decide(_wanted, _ranks, _options.Node, _standbys, Now))
            {
                if (action is AgentAction.End end)
                {
                    if (Told())
                    {
                        ForgetWhatIsTold();
                        _log($"ended: {end.Reason}");
                        return end.ExitCode;
                    }
                }
                else
                {
                    await Act(action);
                }
            }

            _launch = _launch?.Look(_ranks, Now);
            _contact.Advance(Now, Waiting, ToRegister, ToBeat, _output.NextBatch);
        }

        throw new System.Diagnostics.UnreachableException();
    }

    public void Dispose()
    {
        _contact.Dispose();
        _port.Dispose();
        _output.Dispose();
        _spawn.Dispose();
        _kept.Dispose();
    }

    /// <summary>
    /// A rank of the current attempt is gone before its end, or waits for its gang: every second until the order comes is lost to the
    /// stage.
    /// </summary>
    private bool Waiting => _ranks.Any(r => (r.State == RankState.Exited || r.WaitsForGang || r.LeftGang) && r.Attempt == _wanted.Attempt);

    /// <summary>For durations.</summary>
    private DateTimeOffset Now => _awake.Now;

    /// <summary>For people.</summary>
    private Timestamp Stamp => Timestamp.FromDateTimeOffset(_clock.GetUtcNow());

    private async Task Take(AgentNews news)
    {
        switch (news)
        {
            case AgentNews.Said { Report.KindCase: RankReport.KindOneofCase.Resumed } said when Find(said.Slot)?.Rank == 0:
                // Before the first step of the launch: the ledger wants older attempts first.
                await Recall(said.Report.Resumed is { HasKeptStep: true, KeptStep: var kept } ? kept
                    : said.Report.Resumed.Checkpoint?.Step ?? 0);
                Hear(said.Slot, said.Report);
                break;
            case AgentNews.Said said:
                Hear(said.Slot, said.Report);
                break;
            case AgentNews.Printed printed:
                _output.Print(Find(printed.Slot), printed.Take());
                break;
            case AgentNews.Exited exited when Find(exited.Slot) is { } rank:
                End(rank, exited.ExitCode, _output.LastWords(rank.Slot));
                break;
            case AgentNews.Answered answered:
                TakeAnswer(answered);
                break;
            case AgentNews.Read read:
                Take(read);
                break;
            case AgentNews.Remark remark:
                _log(remark.Text);
                break;
            case AgentNews.Signalled signalled:
                BeginToEnd($"{signalled.Name} was received", signalled.Save ? Now + _options.SaveWithin : null, 0);
                break;
            case AgentNews.Tick or AgentNews.Exited:
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"no word of what {news.GetType().Name} is to an agent");
        }
    }

    private void Hear(int slot, RankReport report)
    {
        if (Find(slot) is not { } before)
        {
            return;
        }

        ReportLimits.Fit(report);
        var rank = before.Hear(report, Now);
        Replace(rank);
        if (!PassOn(rank, report))
        {
            _log($"rank in slot {slot} said '{report.KindCase}', which no agent asked for");
        }

        bool firstStep = before.FirstStepAt is null && rank.FirstStepAt is not null;
        if (firstStep)
        {
            FirstStep(rank);
        }

        if (rank.LeftGang && !before.LeftGang)
        {
            _log($"rank {rank.Rank} of attempt {rank.Attempt} left its gang and waits: {report.LeftGang.Reason}");
        }

        bool waits = rank.LeftGang != before.LeftGang || rank.WaitsForGang != before.WaitsForGang;
        _contact.Urgent |= firstStep || waits || before.State != rank.State
            || report.KindCase is RankReport.KindOneofCase.Checkpoint or RankReport.KindOneofCase.Failed or RankReport.KindOneofCase.Trace;
    }

    /// <summary>Where a report goes, with the attempt that it is of.</summary>
    /// <returns>False: no agent asked for it.</returns>
    private bool PassOn(RankSeen rank, RankReport report)
    {
        int attempt = rank.Attempt;
        return report.Match(
            none: () => false,
            // The agent's own business: what it told RankSeen is in the next beat.
            hello: _ => true, ready: _ => true, progress: _ => true, pulse: _ => true, done: _ => true, failed: _ => true,
            leftGang: _ => true, part: _ => true,
            prepared: prepared => Did(() => Prepared(rank, prepared)),
            sample: sample => OfFirst(() =>
            {
                (sample.Attempt, sample.At) = (attempt, sample.At ?? Stamp);
                _reports.Add(sample);
            }),
            evaluation: evaluation => OfFirst(() =>
            {
                (evaluation.Attempt, evaluation.At) = (attempt, evaluation.At ?? Stamp);
                _reports.Add(evaluation);
            }),
            expertLoad: load => OfFirst(() =>
            {
                (load.Attempt, load.At) = (attempt, load.At ?? Stamp);
                _reports.Add(load);
            }),
            resumed: resumed => OfFirst(() =>
            {
                resumed.Attempt = attempt;
                _reports.Add(resumed);
            }),
            checkpoint: made => Did(() =>
            {
                (made.Attempt, made.At) = (attempt, made.At ?? Stamp);
                _reports.Add(made);
                _wanted = AgentPlan.CheckpointSeen(_wanted, made);
            }),
            refused: refused => Did(() =>
            {
                refused.Attempt = attempt;
                _reports.Add(refused);
            }),
            trace: trace => Did(() => TakeTrace(trace, attempt)),
            stored: stored => Did(() => _reports.Add(stored)), note: note => Did(() =>
            {
                (note.Attempt, note.At) = (attempt, note.At ?? Stamp);
                _reports.Add(note);
            }),
            reference: _ => false, collectives: _ => false, bench: _ => false, forming: _ => false);

        // All ranks of a gang come to the same; the first one's word goes on.
        bool OfFirst(Action add) => rank.Rank > 0 || Did(add);

        static bool Did(Action add)
        {
            add();
            return true;
        }
    }

    private void End(RankSeen rank, int exitCode, (string Line, ImmutableArray<string> Lines) last)
    {
        var ended = rank.End(exitCode, last.Line, Now) with
        {
            LastLines = last.Lines,
            MemoryKill = exitCode == 128 + Posix.SigKill ? MemoryKillOf(rank.Slot) : "",
        };
        Replace(ended);
        _processes.Remove(rank.Slot);
        _memory.Remove(rank.Slot);
        _contact.Urgent |= !rank.Standby;
        string who = rank.Rank is { } number ? $"rank {number} of attempt {rank.Attempt}" : "a standby";
        _log($"{who} (pid {rank.Pid}) ended{(ended.State == RankState.Done ? ", done" : $": {ended.HowItEnded}")}");
    }

    private void TakeAnswer(AgentNews.Answered news)
    {
        if (_contact.Take(news.Call, news.Answer, Now) is { Length: > 0 } changed)
        {
            _log(changed);
        }

        switch (news)
        {
            case { Answer: ControlPlaneAnswer.Refused refused }:
                BeginToEnd(
                    $"the control plane at {_contact.Address} refused this agent (protocol {Protocol}): {refused.Message}",
                    Now + _options.SaveWithin, ProtocolRefused);
                break;
            case { Answer: ControlPlaneAnswer.Replied { Reply: var reply } }:
                if (news.Call is ControlPlaneCall.Logs logs)
                {
                    _output.Done(logs.Batch);
                }

                _reports.Acknowledge(reply.Acknowledged);
                HandOn(reply.Faults);
                if (news.Call is ControlPlaneCall.Beat)
                {
                    // Only these replies tell of them: what another does not name is not let go.
                    Pin(reply.PinnedSteps);
                    HandOn(reply.Trace);
                    HandOn(reply.Read);
                }

                // Once it is known how a rank of an older attempt ended, nobody asks for it again.
                _ranks = [.. _ranks.Where(
                    r => r.Standby || r.Attempt >= _wanted.Attempt || r.EndToldBy == 0 || r.EndToldBy > reply.Acknowledged)];
                Change(AgentPlan.Obey(_wanted, reply.Order, Now));
                break;
            case { Answer: ControlPlaneAnswer.NotTaken { Reason: var why }, Call: ControlPlaneCall.Logs { Batch: var left } }:
                _output.Done(left);
                _log($"the control plane did not take {left.Lines.Count} lines of rank {left.Rank}: {why}");
                break;
            case { Answer: ControlPlaneAnswer.Lost or ControlPlaneAnswer.NotNow }:
                // The contact has counted it, and tries again.
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"no word of what {news.Answer.GetType().Name} is to an agent");
        }
    }

    private void GiveUpIfAlone()
    {
        if (Now - _contact.LastContact > _options.GiveUpAfter)
        {
            BeginToEnd($"no contact with the control plane for {AwakeClock.Words(_options.GiveUpAfter)}", Now + _options.SaveWithin,
                GaveUp);
        }
    }

    private void BeginToEnd(string reason, DateTimeOffset? saveUntil, int exitCode)
    {
        // The first reason stays; only a wish to end at once shortens a save that is under way.
        if (_wanted is Wanted.Ending ending)
        {
            _wanted = saveUntil is null ? ending with { SaveUntil = null } : ending;
            return;
        }

        Change((new Wanted.Ending(_wanted.Attempt, reason, saveUntil, exitCode), reason));
    }

    private void Change((Wanted Next, string Reason) decided)
    {
        if (decided.Reason.Length > 0)
        {
            _log(decided.Reason);
        }

        if (decided.Next.Attempt != _wanted.Attempt)
        {
            _ranks = [.. _ranks.Where(r => r.Alive || r.Standby)];
            _launch = decided.Next is Wanted.Training next ? LaunchTrace.Begin(next.Attempt, next.Assignment.Traceparent, Now) : null;
        }

        _wanted = decided.Next;
    }

    /// <summary>True once everything has been told, or cannot be told in reasonable time.</summary>
    private bool Told()
    {
        var before = _farewell;
        _farewell = before?.After(_reports.Count, Now) ?? Farewell.Begin(_reports.Count, Now);
        if (_farewell != before)
        {
            // The first beat tells that the ranks are gone, each further one what did not fit into those before.
            _contact.Urgent = true;
            return false;
        }

        // One call that failed is no end of the contact while there is something that would be lost.
        return _farewell.IsOver(Now, _contact.Registered)
            || (_reports.Empty && (!_contact.Registered || (_output.Empty && !_contact.Busy)));
    }

    private RegisterRequest ToRegister() => new()
    {
        Protocol = Protocol,
        Version = typeof(NodeAgent).Assembly.GetName().Version?.ToString(3) ?? "",
        Node = _options.Node,
        AgentId = _agentId,
        Pid = Environment.ProcessId,
        Attempt = Attempt(_wanted.Attempt),
        Ranks = { Statuses() },
        WithoutContact = _contact.WithoutContact(Now) is { } away ? Duration.FromTimeSpan(away) : null,
    };

    private HeartbeatRequest ToBeat()
    {
        var beat = new HeartbeatRequest
        {
            Node = _options.Node,
            AgentId = _agentId,
            Attempt = Attempt(_wanted.Attempt),
            Sequence = ++_sequence,
            Ranks = { Statuses() },
            PeerHost = _options.PeerHost,
            Launch = _launch?.ToTell(_ranks, Now),
        };
        _ranks = [.. _ranks.Select(r => r.Alive || r.EndToldBy > 0 ? r : r with { EndToldBy = _sequence })];
        _reports.Fill(beat);
        beat.Untold = _reports.Count;
        // The slowest rank is the one that the gang waits for.
        foreach (var part in _ranks.Where(r => r.Attempt == _wanted.Attempt).SelectMany(r => r.LaunchSeconds()).GroupBy(p => p.Part))
        {
            beat.LaunchSeconds[part.Key] = part.Max(p => p.Seconds);
        }

        return beat;
    }
}
