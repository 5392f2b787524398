using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// No agent tells of what is still to come. A machine whose clock is hours ahead would put its words behind all that follows on the
/// timeline, and the end of its charts where nobody is yet; what it tells has happened by the time that it is heard.
/// </summary>
internal static class BeatTimes
{
    public static HeartbeatRequest NotAhead(this HeartbeatRequest beat, DateTimeOffset now)
    {
        var heard = Timestamp.FromDateTimeOffset(now);
        foreach (var note in beat.Notes)
        {
            note.At = Earlier(note.At);
        }

        foreach (var sample in beat.Samples)
        {
            sample.At = Earlier(sample.At);
        }

        foreach (var made in beat.Checkpoints)
        {
            made.At = Earlier(made.At);
        }

        foreach (var measured in beat.Evaluations)
        {
            measured.At = Earlier(measured.At);
        }

        foreach (var load in beat.ExpertLoads)
        {
            load.At = Earlier(load.At);
        }

        foreach (var restart in beat.LocalRestarts)
        {
            restart.At = Earlier(restart.At);
        }

        return beat;

        // A time that is missing is refused where it is read.
        Timestamp? Earlier(Timestamp? at) => at is not null && at > heard ? heard : at;
    }
}
