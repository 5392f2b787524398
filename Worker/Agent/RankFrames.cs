using System.Buffers.Binary;
using Google.Protobuf;

namespace DeepSeekOps.Worker.Agent;

/// <summary>What arrived on a rank link is not a frame of this protocol. The connection cannot be used any further.</summary>
public sealed class RankFrameException : IOException
{
    public RankFrameException(string message) : base(message) { }

    public RankFrameException(string message, Exception inner) : base(message, inner) { }

    public RankFrameException() { }
}

/// <summary>Frames of the rank link: 4 bytes of length, big-endian, then a protobuf message.</summary>
public static class RankFrames
{
    /// <summary>
    /// An assignment is a few kB and a report less. The limit keeps a stray client (an HTTP request reads as a length of 1.2 GB)
    /// from making us reserve memory.
    /// </summary>
    public const int MaxBytes = 4 * 1024 * 1024;

    private const int HeaderBytes = 4;

    public static void Write(Stream stream, IMessage message)
    {
        int length = message.CalculateSize();
        if (length > MaxBytes)
        {
            throw new RankFrameException($"a {message.Descriptor.Name} of {length} bytes is larger than the limit of {MaxBytes}");
        }

        // One write per frame: two would be two packets, and the second waits for the first one's acknowledgement.
        var frame = new byte[HeaderBytes + length];
        BinaryPrimitives.WriteInt32BigEndian(frame, length);
        message.WriteTo(frame.AsSpan(HeaderBytes));
        stream.Write(frame);
    }

    /// <summary>The next message, or null where the stream ends between two frames.</summary>
    public static async Task<T?> Read<T>(Stream stream, MessageParser<T> parser, CancellationToken cancellation)
        where T : class, IMessage<T>
    {
        var header = new byte[HeaderBytes];
        int read = await stream.ReadAtLeastAsync(header, HeaderBytes, throwOnEndOfStream: false, cancellation);
        if (read == 0)
        {
            return null;
        }

        if (read < HeaderBytes)
        {
            throw new RankFrameException($"the stream ended inside a frame's header ({read} of {HeaderBytes} bytes)");
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (length > MaxBytes)
        {
            throw new RankFrameException($"a frame of {length} bytes is larger than the limit of {MaxBytes}");
        }

        var body = new byte[length];
        read = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellation);
        if (read < body.Length)
        {
            throw new RankFrameException($"the stream ended inside a frame ({read} of {length} bytes)");
        }

        try
        {
            return parser.ParseFrom(body);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RankFrameException($"a frame of {length} bytes is no {typeof(T).Name}: {e.Message}", e);
        }
    }
}
