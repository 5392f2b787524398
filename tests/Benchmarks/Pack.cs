using System.Buffers.Binary;
using System.Text;

namespace DeepSeekOps.Benchmarks;

/// <summary>MessagePack, as much of it as circuits speak.</summary>
internal sealed class PackWriter
{
    private readonly List<byte> bytes = [];

    public PackWriter Array(int count) => Raw((byte)(0x90 | count));

    public PackWriter Map(int count) => Raw((byte)(0x80 | count));

    public PackWriter Value(object? value)
    {
        switch (value)
        {
            case null:
                return Raw(0xc0);
            case bool yes:
                return Raw((byte)(yes ? 0xc3 : 0xc2));
            case long number:
                byte[] digits = new byte[8];
                BinaryPrimitives.WriteInt64BigEndian(digits, number);
                return Raw([0xd3, .. digits]);
            case string text:
                byte[] utf8 = Encoding.UTF8.GetBytes(text);
                byte[] length = new byte[4];
                BinaryPrimitives.WriteInt32BigEndian(length, utf8.Length);
                return Raw([0xdb, .. length, .. utf8]);
            default:
                throw new NotSupportedException($"{value.GetType()} is not written.");
        }
    }

    /// <summary>With its length before it, seven bits a byte.</summary>
    public byte[] Framed()
    {
        var head = new List<byte>();
        int left = bytes.Count;
        for (; left > 0x7f; left >>= 7)
        {
            head.Add((byte)(left | 0x80));
        }

        return [.. head, (byte)left, .. bytes];
    }

    private PackWriter Raw(params byte[] raw)
    {
        bytes.AddRange(raw);
        return this;
    }
}

/// <summary>Whole numbers come as long, arrays as object[], binary as its length: nobody here draws what it says.</summary>
internal sealed class PackReader(byte[] bytes)
{
    private int at;

    public object?[] Message() => Value() as object?[] ?? throw new InvalidOperationException("A message is an array.");

    private object? Value()
    {
        byte kind = bytes[at++];
        return kind switch
        {
            < 0x80 => (long)kind,
            < 0x90 => Map(kind & 0x0f),
            < 0xa0 => Items(kind & 0x0f),
            < 0xc0 => Text(kind & 0x1f),
            0xc0 => null,
            0xc2 => false,
            0xc3 => true,
            0xc4 => Skip((int)Number(1)),
            0xc5 => Skip((int)Number(2)),
            0xc6 => Skip((int)Number(4)),
            0xca => (double)BitConverter.Int32BitsToSingle((int)Number(4)),
            0xcb => BitConverter.Int64BitsToDouble(Number(8)),
            0xcc => Number(1),
            0xcd => Number(2),
            0xce => Number(4),
            0xcf or 0xd3 => Number(8),
            0xd0 => (long)(sbyte)Number(1),
            0xd1 => (long)(short)Number(2),
            0xd2 => (long)(int)Number(4),
            0xd9 => Text((int)Number(1)),
            0xda => Text((int)Number(2)),
            0xdb => Text((int)Number(4)),
            0xdc => Items((int)Number(2)),
            0xdd => Items((int)Number(4)),
            0xde => Map((int)Number(2)),
            >= 0xe0 => (long)(sbyte)kind,
            _ => throw new InvalidOperationException($"0x{kind:x2} is not read."),
        };
    }

    private long Number(int width)
    {
        long value = 0;
        for (int i = 0; i < width; i++)
        {
            value = (value << 8) | bytes[at++];
        }

        return value;
    }

    private object?[] Items(int count)
    {
        object?[] items = new object?[count];
        for (int i = 0; i < count; i++)
        {
            items[i] = Value();
        }

        return items;
    }

    private object?[] Map(int count) => Items(2 * count);

    private string Text(int length) => Encoding.UTF8.GetString(bytes, (at += length) - length, length);

    private long Skip(int length)
    {
        at += length;
        return length;
    }
}
