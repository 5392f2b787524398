using System.Collections;
using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// No agent tells of what is still to come. A machine whose clock is hours ahead would put its words behind all that follows on the
/// timeline, and the end of its charts where nobody is yet; what it tells has happened by the time that it is heard.
/// </summary>
internal static class BeatTimes
{
    /// <summary>All lists of a beat whose entries say when, by the description of the wire: one that is added is held to it too.</summary>
    private static readonly ImmutableArray<(IFieldAccessor List, IFieldAccessor At)> Told =
    [
        .. HeartbeatRequest.Descriptor.Fields.InDeclarationOrder()
            .Where(list => list is { IsRepeated: true, IsMap: false, FieldType: FieldType.Message })
            .Select(list => (List: list.Accessor, At: list.MessageType.FindFieldByName("at")))
            .Where(list => list.At is { FieldType: FieldType.Message } at && at.MessageType == Timestamp.Descriptor)
            .Select(list => (list.List, list.At.Accessor)),
    ];

    public static HeartbeatRequest NotAhead(this HeartbeatRequest beat, DateTimeOffset now)
    {
        var heard = Timestamp.FromDateTimeOffset(now);
        foreach (var (list, at) in Told)
        {
            foreach (IMessage entry in (IList)list.GetValue(beat))
            {
                // A time that is missing is refused where it is read.
                if (at.GetValue(entry) is Timestamp told && told > heard)
                {
                    at.SetValue(entry, heard);
                }
            }
        }

        return beat;
    }
}
