using CsCheck;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>Whatever a disk or a person did to a set: it is told in words, or nothing of what is read has changed. Some 2 s.</summary>
public sealed class PreparedFuzzTests : IDisposable
{
    private readonly PreparedSets _sets = new();

    public void Dispose() => _sets.Dispose();

    [Fact]
    public void A_damaged_set_is_told_or_read_and_never_more()
    {
        var good = _sets.Prepare("good", _sets.Lines("a.jsonl", 12), _sets.Lines("b.jsonl", 8, seed: 4));
        var folder = Directory.CreateDirectory(_sets.At("damaged")).FullName;
        string[] files = ["manifest.json", "shards.table", "shard-000000.ids", "shard-000001.ids"];
        var bytes = files.ToDictionary(f => f, f => File.ReadAllBytes(Path.Combine(good, f)));
        var (told, read) = (0, 0);
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 1 << 20], Gen.Byte, Gen.Int[0, 5], Gen.Bool).Sample((which, place, value, kind, far) =>
        {
            var file = files[which];
            foreach (var (name, content) in bytes)
            {
                File.WriteAllBytes(Path.Combine(folder, name), content);
            }
            var whole = bytes[file];
            // Half of the places lie where numbers stand: in the header, or in the index at the end.
            place = far ? Math.Max(0, whole.Length - 1 - (place % 200)) : place % Math.Min(whole.Length, 200);
            byte[] changed = kind switch
            {
                0 => whole[..place],
                1 => [.. whole, value],
                2 => [.. whole[..place], value, .. whole[place..]],
                3 => [.. whole[..place], .. Enumerable.Repeat(value, Math.Min(8, whole.Length - place)),
                    .. whole[Math.Min(whole.Length, place + 8)..]],
                _ => [.. whole[..place], value, .. whole[(place + 1)..]],
            };
            File.WriteAllBytes(Path.Combine(folder, file), changed);
            try
            {
                using var set = PreparedSet.Open(folder);
                for (var d = 0; d < set.Manifest.Documents; d++)
                {
                    Assert.Equal(set.Length(d), set.Tokens(d).Length);
                }
                read++;
            }
            catch (BadInputException e)
            {
                Assert.Contains(folder, e.What, StringComparison.Ordinal);
                Assert.NotEmpty(e.Fix);
                told++;
            }
        }, iter: 400, threads: 1);
        Assert.True(told > 100 && read > 5, $"{told} told, {read} read");
    }

    [Fact]
    public void A_shard_that_becomes_shorter_while_it_is_read_is_told()
    {
        var folder = _sets.Prepare("set", _sets.Lines("a.jsonl", 12));
        using var set = PreparedSet.Open(folder);
        Assert.NotEmpty(set.Tokens(0));
        using (var cut = new FileStream(Path.Combine(folder, "shard-000000.ids"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            cut.SetLength(64);
        }
        Assert.Contains("became shorter while it was read", Assert.Throws<BadInputException>(() => set.Tokens(0)).What,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_that_changed_is_found_by_the_check()
    {
        var folder = _sets.Prepare("set", _sets.Lines("a.jsonl", 12));
        var path = Path.Combine(folder, "shard-000000.ids");
        var bytes = File.ReadAllBytes(path);
        bytes[200] ^= 1;
        File.WriteAllBytes(path, bytes);
        using var set = PreparedSet.Open(folder);
        Assert.Contains("shard-000000.ids' was changed", Assert.Throws<BadInputException>(() => set.CheckAll(_ => { })).What,
            StringComparison.Ordinal);
    }
}
