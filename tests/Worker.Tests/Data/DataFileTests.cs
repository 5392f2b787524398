using System.Text;
using CsCheck;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>Data files as people have them: submission reads their beginning by the reader of the rank.</summary>
public sealed class DataFileTests : IDisposable
{
    private const int All = 1 << 20;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-files-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("a.jsonl", "{\"text\": \"cut here \\ud83d\"}", "line 1: a text has half of a character")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"\\udc00\", \"content\": \"x\"}]}", "line 1: a text has half of a character")]
    [InlineData("a.jsonl", "{\"text\": \"x\"},", "line 1: it is not a JSON object")]
    [InlineData("a.jsonl", "[\"x\"]", "line 1: it is not a JSON object")]
    [InlineData("a.jsonl", "\n\r\n{\"text\": null}", "line 3: \"text\" is null where a text belongs")]
    [InlineData("a.jsonl", "{\"messages\": []}", "\"messages\" is not a list with messages in it")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"tool\", \"content\": \"x\"}]}",
        "message 2: \"role\" is a tool's")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"function\", \"content\": \"x\"}]}", "message 1: \"role\" is a tool's")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"boss\", \"content\": \"x\"}]}", "message 1: \"role\" is not system")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{}]}]}", "\"tool_calls\" is set")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": []}]}", "\"content\" is null")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\", \"weight\": 0}]}", "\"weight\" is set")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {}}]}]}",
        "has a part that is not text")]
    [InlineData("a.jsonl", "{\"tools\": [{}], \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", "\"tools\" is set")]
    [InlineData("a.jsonl", "{\"prompt\": \"x\"}", "it has none of the keys that are read")]
    [InlineData("a.jsonl", "{\"text\": \"x\", \"score\": NaN}", "line 1: it is not a JSON object: byte 24 fits none")]
    [InlineData("a.jsonl", "{\"text\": \"x\", \"text\": \"y\"}", "line 1: it has \"text\" twice")]
    [InlineData("a.jsonl", "{\"text\": \"x\", \"messages\": []}", "line 1: it has \"text\" and \"messages\", and one of them would be")]
    [InlineData("a.jsonl", "{\"question\": \"x\", \"answer\": \"y\", \"text\": \"z\"}", "it has \"text\" and \"question\", and one of")]
    [InlineData("a.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"x\", \"content\": \"y\"}]}",
        "message 1: it has \"content\" twice")]
    [InlineData("a.jsonl", "root:x:0:0", "line 1: it is not a JSON object")]
    [InlineData("a.txt", "a\0b", "line 1, has a NUL byte")]
    [InlineData("a.txt", "\uFEFF", "is empty")]
    [InlineData("a.txt", " \n\t\r\n\u3000\n\n", "is empty")]
    [InlineData("a.jsonl", " \n\t\r\n\n", "is empty")]
    [InlineData("a.jsonl", "{\"text\": \"\"}\n{\"text\": \" \"}\n", "is empty")]
    [InlineData("a.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "is a pointer of Git LFS")]
    [InlineData("a.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "is a pointer of Git LFS")]
    [InlineData("a.txt.gz", "x", "is packed (.gz)")]
    [InlineData("a.jsonl.gz", "x", "is packed (.gz)")]
    [InlineData("a.json", "[]", "of a kind that is not read")]
    public void Submission_and_rank_refuse_a_file_in_the_same_words(string name, string text, string said)
    {
        var path = Write(name, Encoding.UTF8.GetBytes(text));
        var submission = Assert.Throws<BadInputException>(() => DataFile.CheckBeginning(path, All));
        var rank = Assert.Throws<BadInputException>(() => FileData.Open([path], 1, 0));
        Assert.Equal(submission.Message, rank.Message);
        Assert.Contains(said, submission.What, StringComparison.Ordinal);
        Assert.Contains(path, submission.What, StringComparison.Ordinal);
        Assert.NotEqual("", submission.Fix);
        Assert.DoesNotContain("root", submission.Message.Replace(path, "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a.txt", "\0", "line 1, has a NUL byte")]
    [InlineData("a.jsonl", "\0", "line 1, has a NUL byte")]
    public void Bytes_without_a_line_end_that_are_no_text_are_told_at_submission(string name, string of, string said)
    {
        var path = Write(name, Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(of, 10_000))));
        var submission = Assert.Throws<BadInputException>(() => DataFile.CheckBeginning(path, 4_096));
        Assert.Contains(said, submission.What, StringComparison.Ordinal);
    }

    [Theory, InlineData(4_093), InlineData(4_094), InlineData(4_095), InlineData(4_096)]
    public void A_character_that_the_look_cuts_is_no_fault_of_the_file(int bytes)
    {
        var path = Write("a.txt", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("世界𐍈é", 1_000))));
        Assert.False(DataFile.CheckBeginning(path, bytes).Whole);
    }

    [Theory, InlineData(1_000), InlineData(100_000)]
    public void A_line_that_is_nested_beyond_all_use_is_told_as_that(int deep) => Submission_and_rank_refuse_a_file_in_the_same_words(
        "a.jsonl", $"{{\"text\": \"x\", \"meta\": {new string('[', deep)}{new string(']', deep)}}}",
        "line 1: it is nested more than 1,000 deep");

    /// <summary>Such a file is no UTF-8 either, and turning it into that with iconv would not help.</summary>
    [Theory]
    [InlineData("a.jsonl", "1F8B08000000", "packed by gzip")]
    [InlineData("a.txt", "28B52FFD2400", "packed by zstd")]
    [InlineData("a.jsonl", "FD377A585A00", "packed by xz")]
    [InlineData("a.txt", "425A6839314159265359", "packed by bzip2")]
    [InlineData("a.jsonl", "504B030414000000", "packed by zip")]
    public void Packed_data_is_told_by_its_bytes_whatever_it_is_called(string name, string hex, string said)
    {
        var path = Write(name, Convert.FromHexString(hex));
        var submission = Assert.Throws<BadInputException>(() => DataFile.CheckBeginning(path, All));
        Assert.Contains(said, submission.What, StringComparison.Ordinal);
        Assert.Equal(submission.Message, Assert.Throws<BadInputException>(() => FileData.Open([path], 1, 0)).Message);
    }

    [Fact]
    public void Text_of_Windows_in_two_bytes_a_character_is_told_as_such()
    {
        var path = Write("a.txt", Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes("Oak")).ToArray());
        Assert.Contains("is UTF-16", Assert.Throws<BadInputException>(() => DataFile.CheckBeginning(path, All)).What,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("utf-16", "is UTF-16.")]
    [InlineData("utf-16BE", "is UTF-16.")]
    [InlineData("utf-32", "is UTF-32.")]
    [InlineData("utf-32BE", "is UTF-32.")]
    public void Wide_text_is_told_by_the_name_that_converts_it(string name, string said)
    {
        var wide = Encoding.GetEncoding(name);
        var refused = Assert.Throws<BadInputException>(
            () => DataFile.CheckBeginning(Write("a.txt", [.. wide.GetPreamble(), .. wide.GetBytes("Oak")]), All));
        Assert.Contains(said, refused.What, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a.txt", "one\n\n\uFEFFtwo \uFEFF\n\uFEFF\uFEFFthree", new[] { "one\n\ntwo \uFEFF\n\uFEFFthree" })]
    [InlineData("a.jsonl", "{\"text\": \"one\"}\n\uFEFF{\"text\": \"\uFEFFtwo\"}\n\uFEFF\n", new[] { "one", "\uFEFFtwo" })]
    public void Files_that_were_joined_have_marks_in_front_of_later_lines_and_they_are_no_part_of_them(
        string name, string text, string[] documents)
    {
        var data = FileData.Open([Write(name, Encoding.UTF8.GetBytes(text))], 1, 0);
        var read = Enumerable.Range(0, documents.Length).Select(i => data.Document(i));
        Assert.Equal(documents.Order(StringComparer.Ordinal), read.Order(StringComparer.Ordinal));
        Assert.Equal(documents.Length, data.DocumentCount);
    }

    [Theory]
    [InlineData("A.JSONL", "{\"text\": \"The oak stands.\"}\n", "The oak stands.")]
    [InlineData("A.TXT", "The oak stands.\n", "The oak stands.")]
    [InlineData("mark.jsonl", "\uFEFF{\"text\": \"The oak stands.\"}", "The oak stands.")]
    [InlineData("mark.txt", "\uFEFFThe oak stands.", "The oak stands.")]
    [InlineData("crlf.jsonl", "\r\n{\"text\": \"The oak\\r\\nstands.\"}\r\n\r\n", "The oak\r\nstands.")]
    [InlineData("parts.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Oak\"}, {\"type\": "
            + "\"text\", \"text\": \"?\"}]}, "
        + "{\"role\": \"assistant\", \"content\": \"Oak.\", \"tool_calls\": null}]}", "Oak?\nOak.")]
    [InlineData("nul.jsonl", "{\"text\": \"a\\u0000b\"}", "a\0b")]
    [InlineData("beside.jsonl", "{\"text\": \"x\", \"answer\": 5, \"meta\": {\"a\": 1, \"a\": [2]}}", "x")]
    [InlineData("a, b.txt", "comma", "comma")]
    public void What_is_read_is_the_text_alone(string name, string text, string document)
    {
        var path = Write(name, Encoding.UTF8.GetBytes(text));
        Assert.True(DataFile.CheckBeginning(path, All).Whole);
        var data = (FileData)TrainingData.Open(new Contracts.Worker.V1.DataConfig { Source = DataSource.Join([path]) }, seed: 1);
        Assert.Equal((1L, document), (data.DocumentCount, data.Document(0)));
    }

    [Fact]
    public void A_data_file_may_be_a_link_as_the_hubs_cache_has_it()
    {
        Directory.CreateDirectory(In("blobs"));
        Directory.CreateDirectory(In("snapshots/rev"));
        Write("blobs/0a1b", Encoding.UTF8.GetBytes("{\"text\": \"" + new string('x', 5000) + "\"}\n{\"text\": \"b\"}"));
        File.CreateSymbolicLink(In("snapshots/rev/a.jsonl"), "../../blobs/0a1b");
        Assert.Equal(2, DataFile.CheckBeginning(In("snapshots/rev/a.jsonl"), All).Documents);
        Assert.Equal(2, FileData.Open([In("snapshots/rev/a.jsonl")], 1, 0).DocumentCount);
        File.Delete(In("blobs/0a1b"));
        var gone = Assert.Throws<FileNotFoundException>(() => NamedFile.Open(In("snapshots/rev/a.jsonl")));
        Assert.Contains("is a link to '../../blobs/0a1b'", gone.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_of_any_bytes_are_read_alike_or_refused_alike_and_never_by_an_exception_of_another_kind()
    {
        Gen<byte[]> line = Gen.OneOf(
            One("{\"text\": \"a\"}", "{\"question\": \"a\", \"answer\": \"b\"}", "", " ", "\r", "{", "\uFEFF", "{\"text\": 1}", "\u00a0",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": [{\"type\": "
                    + "\"text\", \"text\": \"b\"}]}]}",
                "{\"text\": \"\\ud800\"}", "{\"\\ud800\": 1, \"text\": \"a\"}", "{\"messages\": 3}", "{\"messages\": [{\"role\": 1}]}",
                "{\"messages\": [{\"weight\": 1e999}]}")
                .Select(Encoding.UTF8.GetBytes),
            Gen.Byte.Array[0, 6]);
        Gen.Select(line.Array[0, 6], One("f.txt", "f.jsonl")).Sample((lines, name) =>
        {
            var path = Write(name, [.. lines.SelectMany(l => l.Append((byte)'\n'))]);
            Assert.Equal(Said(() => DataFile.CheckBeginning(path, All).Documents > 0), Said(() => Documents(FileData.Open([path], 1, 0))));
        }, iter: 2000, threads: 1);
    }

    [Fact]
    public void Reading_the_beginning_of_a_long_file_says_nothing_of_its_rest()
    {
        var path = Write("long.jsonl", Encoding.UTF8.GetBytes("{\"text\": \"aaaa\"}\n{\"text\": \"b\"}\nnonsense"));
        var seen = DataFile.CheckBeginning(path, 20);
        Assert.Equal((false, 1), (seen.Whole, seen.Documents));
    }

    [Fact]
    public void Names_with_commas_survive_their_list() => Gen.String[Gen.Char["ab, \\/"], 1, 8].Array[1, 4].Sample(names =>
    {
        string[] plain = [.. names.Select(n => n.Trim().TrimEnd('\\', ' ')).Where(n => n.Length > 0)];
        Assert.Equal(plain, DataSource.Split(DataSource.Join(plain)));
    });

    private static Gen<string> One(params string[] of) => Gen.Int[0, of.Length - 1].Select(i => of[i]);

    private static bool Documents(FileData data) =>
        Enumerable.Range(0, (int)data.DocumentCount!.Value).All(i => data.Document(i) is not null);

    private static string Said(Func<bool> read)
    {
        try
        {
            return read().ToString();
        }
        catch (BadInputException e)
        {
            return e.Message;
        }
    }

    private string In(string name) => Path.Combine(_folder.FullName, name);

    private string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(In(name), bytes);
        return In(name);
    }
}
