using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// Parts of lists that make an answer which every client takes: gRPC's refuse messages above 4 MB. What is left out is said in the answer.
/// </summary>
internal static class Bounded
{
    /// <summary>Room for the rest of the message stays.</summary>
    private const int BytesMax = 3 << 20;

    /// <summary>Tag and length of a message in its list.</summary>
    private const int Frame = 6;

    /// <summary>As many as fit, from the beginning; one at least.</summary>
    public static List<T> First<T>(IReadOnlyList<T> messages, int bytesMax = BytesMax)
        where T : IMessage
    {
        int bytes = 0;
        return [.. messages.TakeWhile((message, i) => (bytes += message.CalculateSize() + Frame) <= bytesMax || i == 0)];
    }

    /// <summary>As many as fit, from the end; one at least. In the order that they had.</summary>
    public static List<T> Last<T>(IReadOnlyList<T> messages)
        where T : IMessage
    {
        var last = First([.. messages.Reverse()]);
        last.Reverse();
        return last;
    }
}
