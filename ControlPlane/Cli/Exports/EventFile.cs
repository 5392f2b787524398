using System.Buffers.Binary;
using System.Numerics;
using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Cli.Exports;

/// <summary>
/// TensorBoard's event file: TFRecords (length, its masked CRC-32C, the event, its masked CRC-32C; tensorflow/core/lib/io/record_writer.h)
/// with Event messages of tensorflow/core/util/event.proto, of which scalars need few fields.
/// </summary>
internal sealed class EventFile : IDisposable
{
    private readonly Stream file;

    /// <param name="begun">Of the first event, which says what kind of file it is.</param>
    public EventFile(Stream file, DateTimeOffset begun)
    {
        this.file = file;
        Event(begun, step: 0, output =>
        {
            output.WriteTag(3, WireFormat.WireType.LengthDelimited);
            output.WriteString("brain.Event:2");
        });
    }

    /// <summary>TensorBoard looks for `tfevents` in the name, and takes files of a folder in the order of their names.</summary>
    public static string NameOf(DateTimeOffset begun) => FormattableString.Invariant(
        $"events.out.tfevents.{begun.ToUnixTimeSeconds():D10}.dsops");

    /// <summary>Summary (5) of one Value (1): tag (1) and simple_value (2), a float.</summary>
    public void Scalar(DateTimeOffset at, long step, string tag, double value) => Event(at, step, output =>
    {
        byte[] one = Message(inner =>
        {
            inner.WriteTag(1, WireFormat.WireType.LengthDelimited);
            inner.WriteString(tag);
            inner.WriteTag(2, WireFormat.WireType.Fixed32);
            inner.WriteFloat((float)value);
        });
        byte[] summary = Message(inner =>
        {
            inner.WriteTag(1, WireFormat.WireType.LengthDelimited);
            inner.WriteBytes(ByteString.CopyFrom(one));
        });
        output.WriteTag(5, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(summary));
    });

    public void Dispose() => file.Dispose();

    /// <summary>
    /// A CRC of data that has CRCs in it is weak: it is turned by 15 bits and moved by a constant (tensorflow/core/lib/hash/crc32c.h).
    /// </summary>
    internal static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte one in bytes)
        {
            crc = BitOperations.Crc32C(crc, one);
        }

        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8;
    }

    private void Event(DateTimeOffset at, long step, Action<CodedOutputStream> what) => Record(Message(output =>
    {
        output.WriteTag(1, WireFormat.WireType.Fixed64);
        output.WriteDouble(at.ToUnixTimeMilliseconds() / 1000.0);
        if (step != 0)
        {
            output.WriteTag(2, WireFormat.WireType.Varint);
            output.WriteInt64(step);
        }

        what(output);
    }));

    private void Record(byte[] message)
    {
        Span<byte> head = stackalloc byte[sizeof(ulong) + sizeof(uint)];
        BinaryPrimitives.WriteUInt64LittleEndian(head, (ulong)message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[sizeof(ulong)..], MaskedCrc(head[..sizeof(ulong)]));
        Span<byte> tail = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(tail, MaskedCrc(message));
        file.Write(head);
        file.Write(message);
        file.Write(tail);
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            write(output);
        }

        return bytes.ToArray();
    }
}
