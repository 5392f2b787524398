using System.Buffers.Binary;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>Whether two tensors of a folder hold the same numbers, in whatever type each is stored.</summary>
internal static class SameNumbers
{
    /// <summary>Elements at a time: a few MB, so that a mount that hangs is noticed between two reads.</summary>
    private const int Block = 1 << 19;

    /// <exception cref="CheckpointFormatException">A file that became shorter.</exception>
    public static bool In(WeightList list, string one, string other)
    {
        var (first, second) = (list.Tensors[one], list.Tensors[other]);
        if (!first.Entry.Shape.AsSpan().SequenceEqual(second.Entry.Shape) || Width(first) is not { } width
            || Width(second) is not { } otherWidth)
        {
            return false;
        }

        using var firstFile = NamedFile.Open(Path.Combine(list.Folder, first.File));
        using var secondFile = NamedFile.Open(Path.Combine(list.Folder, second.File));
        var elements = first.Entry.Bytes / width;
        var (left, right) = (new byte[Block * width], new byte[Block * otherWidth]);
        for (long at = 0; at < elements; at += Block)
        {
            var count = (int)Math.Min(Block, elements - at);
            var mine = left.AsSpan(0, count * width);
            var its = right.AsSpan(0, count * otherWidth);
            Fill(firstFile, mine, first.Entry.Offset + (at * width));
            Fill(secondFile, its, second.Entry.Offset + (at * otherWidth));
            if (!(first.Entry.Type == second.Entry.Type && mine.SequenceEqual(its))
                && !Same(mine, first.Entry.Type, its, second.Entry.Type, count))
            {
                return false;
            }
        }

        return true;
    }

    private static int? Width(ListedTensor tensor) =>
        ElementTypes.OfScales.Contains(tensor.Entry.Type) ? ElementTypes.BitsOf(tensor.Entry.Type) / 8 : null;

    private static bool Same(ReadOnlySpan<byte> left, string leftType, ReadOnlySpan<byte> right, string rightType, int count)
    {
        for (var i = 0; i < count; i++)
        {
            if (!Number(left, leftType, i).Equals(Number(right, rightType, i)))
            {
                return false;
            }
        }

        return true;
    }

    private static double Number(ReadOnlySpan<byte> bytes, string type, int i) => type switch
    {
        "F64" => BinaryPrimitives.ReadDoubleLittleEndian(bytes[(8 * i)..]),
        "F32" => BinaryPrimitives.ReadSingleLittleEndian(bytes[(4 * i)..]),
        "F16" => (double)BinaryPrimitives.ReadHalfLittleEndian(bytes[(2 * i)..]),
        _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes[(2 * i)..]) << 16),
    };

    private static void Fill(NamedFile file, Span<byte> target, long at)
    {
        for (var done = 0; done < target.Length;)
        {
            var read = file.Read(target[done..], at + done);
            done += read > 0 ? read
                : throw new CheckpointFormatException($"{file.Path} became shorter while it was read.", "Copy the checkpoint again.");
        }
    }
}
