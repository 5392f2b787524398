using System.Buffers.Binary;
using System.Text;
using CsCheck;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Safetensors;

[Collection(RandomNumbers.OneStream)]
public sealed class SafetensorsTests : DrawingTests, IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("safetensors-").FullName;

    private string Path => System.IO.Path.Combine(folder, "model.safetensors");

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Byte)]
    public void What_is_written_is_read_bit_for_bit(ScalarType type) => Gen.Int[0, 40].Array[0, 3].Sample(sizes =>
    {
        using var scope = NewDisposeScope();
        var value = (rand(sizes.Select(s => (long)s).ToArray()) * 100).to_type(type);
        SafetensorsWriter.Write(Path, [("a", value), ("b", value + 1)], new Dictionary<string, string> { ["step"] = "7" });
        using var file = SafetensorsFile.Open(Path);
        Assert.Equal("7", file.Metadata["step"]);
        AssertSame(value, file.Read("a"));
        AssertSame(value + 1, file.Read("b"));
        var target = zeros(value.shape, type);
        file.ReadInto("a", target);
        AssertSame(value, target);
    }, iter: 20, threads: 1);

    [Fact]
    public void A_tensor_is_converted_to_the_type_of_its_target()
    {
        using var scope = NewDisposeScope();
        var value = rand(3, 5).to_type(ScalarType.BFloat16);
        SafetensorsWriter.Write(Path, [("w", value)]);
        using var file = SafetensorsFile.Open(Path);
        var target = zeros(3, 5);
        file.ReadInto("w", target);
        AssertSame(value.to_type(ScalarType.Float32), target);
        var wrong = Assert.Throws<CheckpointFormatException>(() => file.ReadInto("w", zeros(5, 3)));
        Assert.Contains("[3, 5]", wrong.Message, StringComparison.Ordinal);
        Assert.Contains("[5, 3]", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_cut_off_anywhere_is_refused_with_its_name()
    {
        using (NewDisposeScope())
        {
            SafetensorsWriter.Write(Path, [("w", rand(16, 16)), ("v", rand(7))]);
        }

        byte[] whole = File.ReadAllBytes(Path);
        Gen.Int[0, whole.Length - 1].Sample(length =>
        {
            string cut = System.IO.Path.Combine(folder, "cut.safetensors");
            File.WriteAllBytes(cut, whole[..length]);
            var refusal = Assert.Throws<CheckpointFormatException>(() => SafetensorsFile.Open(cut).Dispose());
            Assert.Contains(cut, refusal.Message, StringComparison.Ordinal);
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void An_element_type_that_is_not_read_is_told_with_its_file()
    {
        using (NewDisposeScope())
        {
            SafetensorsWriter.Write(Path, [("w", rand(4, 4))]);
        }

        byte[] whole = File.ReadAllBytes(Path);
        whole[whole.AsSpan().IndexOf("F32"u8)] = (byte)'U';
        File.WriteAllBytes(Path, whole);
        using var file = SafetensorsFile.Open(Path);
        var refusal = Assert.Throws<CheckpointFormatException>(() => file.Read("w"));
        Assert.StartsWith($"{Path}: tensor w is U32; ", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_damage_of_the_header_never_does_more_than_a_clear_refusal()
    {
        using (NewDisposeScope())
        {
            SafetensorsWriter.Write(Path, [("w", rand(4, 4)), ("v", rand(3))]);
        }

        byte[] whole = File.ReadAllBytes(Path);
        int header = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(whole);
        Gen.Select(Gen.Int[0, header - 1], Gen.Byte).Array[1, 4].Sample(hits =>
        {
            byte[] damaged = (byte[])whole.Clone();
            foreach (var (position, value) in hits)
            {
                damaged[position] = value;
            }

            string path = System.IO.Path.Combine(folder, "damaged.safetensors");
            File.WriteAllBytes(path, damaged);
            try
            {
                using var file = SafetensorsFile.Open(path);
                foreach (string name in file.Names)
                {
                    file.Read(name).Dispose();
                }
            }
            catch (CheckpointFormatException refusal)
            {
                Assert.Contains(path, refusal.Message, StringComparison.Ordinal);
            }
        }, iter: 2000, threads: 1);
    }

    [Theory]
    [InlineData("""{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"v":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}""",
        "lie over each other")]
    [InlineData("""{"w":{"dtype":"F32","shape":[9223372036854775807,8],"data_offsets":[0,16]}}""", "impossible shape")]
    [InlineData("""{"w":{"dtype":"F99","shape":[4],"data_offsets":[0,16]}}""", "dtype F99, which is not known")]
    [InlineData("""{"w":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}""", "-4")]
    [InlineData("""{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,17]}}""", "should be 16 bytes")]
    [InlineData("""{"w":{"dtype":"F32","shape":[4]}}""", "lacks")]
    [InlineData("""{"w":{"dtype":"F32","shape":[400],"data_offsets":[0,1600]}}""", "should be 1600 bytes")]
    [InlineData("""{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "its last 16 bytes belong to no tensor")]
    [InlineData("""{"w":{"dtype":"F32","shape":[4],"data_offsets":[16,32]}}""", "16 bytes between the header and w belong to no tensor")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"v":{"dtype":"F32","shape":[4],"data_offsets":[16,32]}}""",
        "8 bytes between w and v belong to no tensor")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{", "not JSON")]
    public void A_header_that_lies_is_refused_in_words(string header, string words)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] file = new byte[8 + json.Length + 32];
        BinaryPrimitives.WriteInt64LittleEndian(file, json.Length);
        json.CopyTo(file, 8);
        File.WriteAllBytes(Path, file);
        var refusal = Assert.Throws<CheckpointFormatException>(() => SafetensorsFile.Open(Path).Dispose());
        Assert.Contains(words, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Shards_are_found_through_their_index_and_a_path_out_of_the_folder_is_refused()
    {
        using var scope = NewDisposeScope();
        var first = rand(3);
        SafetensorsWriter.Write(System.IO.Path.Combine(folder, "model-00001-of-00002.safetensors"), [("a", first)]);
        SafetensorsWriter.Write(System.IO.Path.Combine(folder, "model-00002-of-00002.safetensors"), [("b", rand(4))]);
        string index = System.IO.Path.Combine(folder, "model.safetensors.index.json");
        File.WriteAllText(index, """{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}""");
        var list = WeightList.Read(folder);
        Assert.Equal(["a", "b"], list.Tensors.Keys.Order());
        using (var whole = new SafetensorsFolder(list, new Dictionary<string, WeightScale>()))
        {
            AssertSame(first, whole.Read("a"));
        }

        File.WriteAllText(index, """{"weight_map":{"a":"../elsewhere.safetensors"}}""");
        Assert.Contains("not a file beside it", Assert.Throws<CheckpointFormatException>(() => WeightList.Read(folder)).Message,
            StringComparison.Ordinal);
    }

    /// <summary>A copy of the hub's cache without its blobs, or a download that was broken off.</summary>
    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("model-00001-of-00001.safetensors")]
    public void Weights_that_are_links_to_nothing_are_told_with_what_they_lead_to(string link)
    {
        if (link.EndsWith("-00001.safetensors", StringComparison.Ordinal))
        {
            File.WriteAllText(System.IO.Path.Combine(folder, WeightList.Index), $$$"""{"weight_map":{"a":"{{{link}}}"}}""");
        }

        File.CreateSymbolicLink(System.IO.Path.Combine(folder, link), "../../blobs/0a1b");
        var refused = Assert.Throws<CheckpointFormatException>(() => WeightList.Read(folder)).Message;
        Assert.Contains($"{link}' is a link to '../../blobs/0a1b', which is not there", refused, StringComparison.Ordinal);
    }

    [Fact]
    public void The_single_file_is_taken_before_an_index_beside_it_and_this_is_said()
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(Path, [("a", ones(3))]);
        SafetensorsWriter.Write(System.IO.Path.Combine(folder, "old.safetensors"), [("a", zeros(3))]);
        File.WriteAllText(System.IO.Path.Combine(folder, WeightList.Index), """{"weight_map":{"a":"old.safetensors"}}""");
        var list = WeightList.Read(folder);
        Assert.Equal("model.safetensors", list.Tensors["a"].File);
        Assert.Contains("model.safetensors is read, as transformers does", list.Note, StringComparison.Ordinal);
        File.Delete(System.IO.Path.Combine(folder, "old.safetensors"));
        Assert.Equal("model.safetensors", WeightList.Read(folder).Tensors["a"].File);
    }

    [Theory]
    [InlineData("F8_E8M0", 1)]
    [InlineData("U16", 2)]
    [InlineData("U64", 8)]
    [InlineData("F8_E5M2", 1)]
    public void Element_types_that_no_weight_has_are_known_and_no_damage(string type, int bytes)
    {
        byte[] json = Encoding.UTF8.GetBytes($$$"""{"w":{"dtype":"{{{type}}}","shape":[4],"data_offsets":[0,{{{4 * bytes}}}]}}""");
        File.WriteAllBytes(Path, [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[4 * bytes]]);
        Assert.Equal(type, SafetensorsHeader.Read(Path).Tensors["w"].Type);
    }

    [Fact]
    public void A_link_is_read_as_the_file_it_leads_to()
    {
        using var scope = NewDisposeScope();
        string blob = System.IO.Path.Combine(folder, "0a1b");
        SafetensorsWriter.Write(blob, [("w", rand(64, 64))]);
        File.CreateSymbolicLink(Path, "0a1b");
        using var file = SafetensorsFile.Open(Path);
        Assert.Equal([64, 64], file.Read("w").shape);
        File.Delete(blob);
        Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open(Path).Dispose());
    }

    [Theory]
    [InlineData("blocks")]
    [InlineData("rows")]
    [InlineData("one")]
    public void Float8_weights_are_read_as_float32_with_the_scale_of_their_block_row_or_whole(string kind)
    {
        using var scope = NewDisposeScope();
        // 2 × 2 blocks, the last ones not full: every element is one of e4m3's exact values times its scale.
        var exact = randint(-8, 8, [130, 200]).to_type(ScalarType.Float32);
        var (scale, block, spread) = kind switch
        {
            "blocks" => (tensor(new float[] { 0.5f, 2, 4, 0.25f }).reshape(2, 2), new ScaleBlock(128, 128), (Func<Tensor, Tensor>)(s =>
                s.repeat_interleave(128, 0).repeat_interleave(128, 1).narrow(0, 0, 130).narrow(1, 0, 200))),
            "rows" => (pow(2, randint(-3, 3, [130, 1]).to_type(ScalarType.Float32)), new ScaleBlock(1, 200), s => s),
            _ => (full([1], 0.25f), new ScaleBlock(130, 200), s => s),
        };
        SafetensorsWriter.Write(Path, [("w", exact.to_type((ScalarType)24)), ("s", scale)]);
        using var file = new SafetensorsFolder(WeightList.Read(folder), new Dictionary<string, WeightScale> { ["w"] = new("s", block) });
        AssertSame(exact * spread(scale), file.Read("w"));
        var target = zeros(130, 200);
        file.ReadInto("w", target);
        AssertSame(exact * spread(scale), target);
    }

    private static void AssertSame(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(expected.contiguous().bytes.SequenceEqual(actual.contiguous().bytes));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
