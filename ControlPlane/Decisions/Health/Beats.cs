namespace DeepSeekOps.Decisions.Health;

public static class Beats
{
    /// <summary>Something in the beat changes what is decided: it is not left to wait for the next tick.</summary>
    public static bool HasNews(AgentBeat beat, WatchedStage stage, Vitals before)
    {
        bool told = !beat.Checkpoints.IsEmpty || !beat.RefusedCheckpoints.IsEmpty || !beat.Evaluations.IsEmpty || !beat.Notes.IsEmpty
            || !beat.Resumed.IsEmpty || !beat.LocalRestarts.IsEmpty;
        bool firstStep = stage.Launch != Launch.None
            && (beat.Samples.Any(s => s.Attempt == stage.Attempt)
                || beat.Ranks.Any(r => r.Attempt == stage.Attempt && r.MadeStep(stage.LaunchedFrom)));
        var known = before.On(beat.Node)?.Ranks ?? [];
        bool ended = beat.Ranks.Any(r => r.State is RankState.Exited or RankState.Done
            && !known.Any(k => k.Rank == r.Rank && k.Attempt == r.Attempt && k.State == r.State));
        bool lost = beat.Ranks.Any(r => r.LostPeer is not null && !known.Any(k => k.Rank == r.Rank && k.Attempt == r.Attempt
            && k.LostPeer == r.LostPeer));
        bool first = before.On(beat.Node) is not { Beaten: true };
        return told || firstStep || ended || lost || first;
    }
}
