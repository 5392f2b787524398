using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// Keeps who holds and who waits; placement decides. One call at a time, so no node is granted twice, and no pod of a fresh grant is
/// taken for a leftover.
/// </summary>
internal sealed partial class ClusterGrain(
    [PersistentState("cluster")] IPersistentState<ClusterRecord> state,
    [PersistentState("tests")] IPersistentState<NodeTestsRecord> tests,
    [PersistentState("starts")] IPersistentState<StartsRecord> starts,
    [PersistentState("incidents")] IPersistentState<NodeIncidentsRecord> incidents, ITrainingCluster cluster, TimeProvider clock,
    PlacementPolicy policy, Ledger ledger, StrayAgents strays, ILogger<ClusterGrain> log) : Grain, IClusterGrain
{
    // Ours: a pod that nobody wants holds GPUs, not work. Ten seconds of them are less than a launch takes, and asking a cluster for all of
    // its pods that often is cheap beside the watches.
    private static readonly TimeSpan FenceEvery = TimeSpan.FromSeconds(10);

    private IReadOnlyDictionary<StageId, PlacementDecision.Pending> pending = ImmutableDictionary<StageId, PlacementDecision.Pending>.Empty;
    private ImmutableArray<StageId> order = [];

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        this.RegisterGrainTimer(Fence, new GrainTimerCreationOptions(TimeSpan.Zero, FenceEvery) { KeepAlive = true });
        this.RegisterGrainTimer(TestNodes, new GrainTimerCreationOptions(TestsEvery, TestsEvery) { KeepAlive = true });
        this.RegisterGrainTimer(WatchNodes, new GrainTimerCreationOptions(WatchEvery, WatchEvery) { KeepAlive = true });
        return Task.CompletedTask;
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        tester.CallOff(_ => true);
        return Task.CompletedTask;
    }

    public async Task<PlacementDecision> Request(GangRequest request, CancellationToken cancellation)
    {
        if (request.InStead is not null)
        {
            if (state.State.Book.Has(request) is { } has)
            {
                return has;
            }

            if (Refilling.Take(await Question(cancellation), InClockTime(request)) is { } taken)
            {
                await Save(state.State.Book.Joined(taken.Grant));
                WorkFirst([taken.Grant]);
                return taken;
            }

            return PlacementForesight.InStead(await Question(cancellation, request.InStead), InClockTime(request));
        }

        if (state.State.Book.HeldBy(request) is { } held)
        {
            return held;
        }

        await Save(state.State.Book.Asked(InClockTime(request)));
        var question = await Question(cancellation);
        var answer = PlacementQueue.Decide(question);
        await Save(state.State.Book.Granted(answer.Placed));
        WorkFirst(answer.Placed.Select(p => p.Grant));
        (pending, order) = (WithForecast(question, answer), answer.Order);
        await Preempt(answer.Preemptions);
        return answer.Placed.FirstOrDefault(p => p.Grant.Stage == request.Stage) as PlacementDecision
            ?? (pending.GetValueOrDefault(request.Stage) is { } wait ? Banded(request, wait) : null)
            ?? throw new InvalidOperationException($"Placement gave {request.Stage} no answer.");
    }

    public async Task Release(GangId gang, ImmutableArray<NodeId> nodes, CancellationToken cancellation)
    {
        var book = state.State.Book.Released(gang, nodes);
        if (book != state.State.Book)
        {
            var givingWay = nodes.IsEmpty ? state.State.GivingWay.RemoveAll(p => p.Victim == gang) : state.State.GivingWay;
            await Save(state.State.With(book) with { GivingWay = givingWay });
        }
    }

    public async Task<ClusterView> Describe()
    {
        var question = await Question(CancellationToken.None);
        var place = order.Select((stage, i) => (stage, i)).ToDictionary(o => o.stage, o => o.i);
        var waits = question.Waiting.OrderBy(w => place.GetValueOrDefault(w.Stage, int.MaxValue)).Select(w => new PendingGang(
            w, Banded(w, pending.GetValueOrDefault(w.Stage) ?? NotLookedAt),
            question.Moves.FirstOrDefault(m => m.Stage == w.Stage)?.Reason ?? ""));
        var view = ClusterView.Of(cluster.Kind, cluster.Simulated, question, [.. waits]);
        var testing = tester.Running.ToDictionary(t => t.Node, t => t.Why);
        return testing.Count == 0 ? view : view with
        {
            Nodes = [.. view.Nodes.Select(n => testing.TryGetValue(n.Node.Id, out var why) ? n with { Testing = why } : n)],
        };
    }

    public Task<bool> Cordon(NodeId node, string reason, CancellationToken cancellation) =>
        Set(new Cordon(node, reason, clock.GetUtcNow(), Drains: false), cancellation);

    public async Task<bool> Uncordon(NodeId node, CancellationToken cancellation)
    {
        await Save(state.State with { Cordons = state.State.Cordons.RemoveAll(c => c.Node == node) }, Asked.Acts);
        if (NodeTests.Release(tests.State.Known, node) is var released && released != tests.State.Known)
        {
            await KeepTests(released);
        }

        return await Exists(node, cancellation);
    }

    public async Task<bool> Drain(NodeId node, string reason, CancellationToken cancellation)
    {
        bool exists = await Set(new Cordon(node, reason, clock.GetUtcNow(), Drains: true), cancellation);
        await Leave(cancellation);
        return exists;
    }

    private async Task<bool> Set(Cordon cordon, CancellationToken cancellation)
    {
        if (!await Exists(cordon.Node, cancellation))
        {
            return false;
        }

        await Save(state.State with { Cordons = state.State.Cordons.RemoveAll(c => c.Node == cordon.Node).Add(cordon) }, Asked.Acts);
        return true;
    }

    /// <summary>Plans are made in the cluster's own time, the queue lives in the clock's.</summary>
    private GangRequest InClockTime(GangRequest request) => request with { Expected = request.Expected / cluster.TimeFactor };

    private async Task Preempt(ImmutableArray<Preemption> preemptions)
    {
        foreach (var preemption in preemptions)
        {
            await GrainFactory.GetGrain<IStageGrain>(preemption.Stage.ToString()).Preempt(preemption);
        }
    }

    private async Task<bool> Exists(NodeId node, CancellationToken cancellation) =>
        (await cluster.Observe(cancellation)).Nodes.Any(n => n.Id == node);

    private ImmutableHashSet<GangId> HeldGangs => [.. state.State.Held.Select(h => h.Id)];

    private Task Save(GangBook book) => book == state.State.Book ? Task.CompletedTask : Save(state.State.With(book));

    private Task Save(ClusterRecord next) => Save(next, []);

    private async Task Save(ClusterRecord next, ImmutableArray<AuditAct> acts)
    {
        var before = state.State;
        bool written = false;
        next = next with { Acts = acts };
        state.State = next;
        try
        {
            await state.WriteStateAsync();
            written = true;
        }
        finally
        {
            // Not written, so not granted.
            state.State = written ? next : before;
            cluster.Holds(HeldGangs);
        }
    }

    /// <summary>What a crash may have left undone: a pod whose gang holds nothing, a drain that its gangs did not hear of.</summary>
    private async Task Fence(CancellationToken cancellation)
    {
        try
        {
            await TellLedger(cancellation);
            await Leave(cancellation);
            var wanted = HeldGangs;
            var spared = await Strays((await cluster.Observe(cancellation)).Pods.Where(p => !wanted.Contains(p.Gang)));
            foreach (var pod in spared.Except(strays.Seen))
            {
                LogStray(pod.Gang.Stage, pod.Node, pod.Pid is { } pid ? $"kill {pid}" : $"delete the pod of {pod.Gang} there");
            }

            strays.Seen = spared;
            var fenced = await cluster.FenceAllBut(
                async token => (await HeldNow()).Union(spared.Select(p => p.Gang)), cancellation);
            foreach (var pod in fenced)
            {
                LogFenced(pod.Gang.Stage, pod.Gang.Number, pod.Node);
            }

            await ledger.RecordActs([.. fenced.Select(Fenced)], cancellation);

            await cluster.ShowCordons(
                state.State.Cordons.Concat(NodeTests.Cordons(tests.State.Known)).GroupBy(c => c.Node)
                    .ToImmutableDictionary(c => c.Key, c => c.Last().Reason), cancellation);
            await LearnStarts();
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            LogFenceFailed(failed);
        }
    }

    /// <summary>Written down afterwards: who is a leftover is known when it is ended.</summary>
    private AuditAct Fenced(PodSeen pod) => new($"fenced {pod.Gang} {pod.Node.Name}", clock.GetUtcNow(), "cluster",
        "system", $"about {pod.Node.Name}", "ended-leftover", pod.Gang.Stage.Run, $"{pod.Gang.Stage} gang {pod.Gang.Number}",
        $"the pod of gang {pod.Gang.Number} on {pod.Node.Name} was a leftover: nothing holds its node any more", AuditAct.Done);

    /// <summary>
    /// As the database has it: of a process that was stopped, memory is old, and another silo may have granted more since.
    /// </summary>
    private async Task<ImmutableHashSet<GangId>> HeldNow()
    {
        await state.ReadStateAsync();
        return HeldGangs;
    }

    /// <summary>
    /// A stage is written before its first pod is made. A pod of a stage that was never written is none of a crash's leftovers: this is
    /// not the database that it was made with.
    /// </summary>
    private async Task<ImmutableArray<PodSeen>> Strays(IEnumerable<PodSeen> leftovers)
    {
        var known = new Dictionary<StageId, bool>();
        foreach (var stage in leftovers.Select(p => p.Gang.Stage).Distinct())
        {
            known[stage] = await GrainFactory.GetGrain<IStageGrain>(stage.ToString()).Describe() is not null;
        }

        return [.. leftovers.Where(p => !known[p.Gang.Stage] && p.Phase is PodPhase.Running or PodPhase.Pending)];
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The agent of {Stage} on {Node} is left alone: this database knows no such stage. "
        + "Start with the database that it belongs to, or end it: {How}")]
    private partial void LogStray(StageId stage, NodeId node, string how);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Ended a leftover: the pod of {Stage}, gang {Gang}, on {Node}")]
    private partial void LogFenced(StageId stage, int gang, NodeId node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leftover pods and drains could not be looked for")]
    private partial void LogFenceFailed(Exception failed);
}
