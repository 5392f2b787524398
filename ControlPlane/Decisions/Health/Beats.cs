using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

public static class Beats
{
    /// <summary>Something in the beat changes what is decided: it is not left to wait for the next tick.</summary>
    public static bool HasNews(AgentBeat beat, WatchedStage stage, Vitals before)
    {
        bool told = !beat.Checkpoints.IsEmpty || !beat.RefusedCheckpoints.IsEmpty || !beat.Evaluations.IsEmpty || !beat.Notes.IsEmpty
            || !beat.Resumed.IsEmpty || !beat.LocalRestarts.IsEmpty || !beat.Reads.IsEmpty
            || !beat.Stored.IsEmpty;
        bool firstStep = stage.Launch != Launch.None
            && (beat.Samples.Any(s => s.Attempt == stage.Attempt)
                || beat.Ranks.Any(r => r.Attempt == stage.Attempt && r.MadeStep(stage.LaunchedFrom)));
        return told || firstStep || before.On(beat.Node) is not { Beaten: true } known || RankLost(beat.Ranks, known.Ranks);
    }

    /// <summary>One has ended, is done or has lost a peer, and had not by the beat before.</summary>
    private static bool RankLost(ImmutableArray<RankStatus> ranks, ImmutableArray<RankStatus> known)
    {
        foreach (var rank in ranks)
        {
            bool ended = rank.State is RankState.Exited or RankState.Done;
            if ((ended && !known.Any(k => k.Rank == rank.Rank && k.Attempt == rank.Attempt && k.State == rank.State))
                || (rank.LostPeer is not null
                    && !known.Any(k => k.Rank == rank.Rank && k.Attempt == rank.Attempt && k.LostPeer == rank.LostPeer)))
            {
                return true;
            }
        }

        return false;
    }
}
