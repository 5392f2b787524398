using System.Text;
using Parquet;
using Parquet.Schema;

namespace DeepSeekOps.Worker.Data.Preparing;

/// <summary>
/// Texts of Parquet: a column "text", or "question" and "answer". A row group is a part: it is read column by column, whole.
/// </summary>
internal static class ParquetTexts
{
    private const string Columns = "Write a column \"text\" of strings, or \"question\" and \"answer\".";

    // Files of older writers do not say that their bytes are text.
    private static readonly ParquetOptions Options = new() { TreatByteArrayAsString = true };

    public static int RowGroups(string path) => Read(path, reader =>
    {
        _ = ColumnsOf(path, reader);
        return reader.RowGroupCount;
    });

    public static IEnumerable<PartText> Read(string path, int rowGroup)
    {
        var (columns, first) = Read(path, reader =>
        {
            if (rowGroup >= reader.RowGroupCount)
            {
                return ([], 0L);
            }
            using var group = reader.OpenRowGroupReader(rowGroup);
            return (ColumnsOf(path, reader).Select(field =>
            {
                var texts = new string?[group.RowCount];
                Wait(group.ReadAsync(field, texts.AsMemory()!));
                return (field.Name, texts);
            }).ToList(), Enumerable.Range(0, rowGroup).Sum(before => reader.RowGroups[before].RowCount));
        });
        for (var row = 0; columns.Count > 0 && row < columns[0].texts.Length; row++)
        {
            foreach (var (name, texts) in columns)
            {
                if (texts[row] is null || texts[row]!.Contains('\0', StringComparison.Ordinal))
                {
                    throw new BadInputException(
                        $"'{path}', row {first + row + 1}: \"{name}\" is "
                            + (texts[row] is null ? "null where a text belongs." : "no text: it has a NUL."),
                        "Leave such rows out, or write a text there.");
                }
            }
            var said = string.Join('\n', columns.Select(c => c.texts[row]));
            yield return new PartText(said, Encoding.UTF8.GetByteCount(said), !string.IsNullOrWhiteSpace(said));
        }
    }

    private static List<DataField> ColumnsOf(string path, ParquetReader reader)
    {
        var fields = reader.Schema.Fields.OfType<DataField>().Where(f => !f.IsArray && IsText(f)).ToDictionary(f => f.Name);
        return fields.TryGetValue("text", out var text) ? [text]
            : fields.TryGetValue("question", out var question) && fields.TryGetValue("answer", out var answer) ? [question, answer]
            : throw new BadInputException(
                $"'{path}' has no text: its columns are {string.Join(", ", reader.Schema.Fields.Select(f => f.Name).Take(20))}.", Columns);
    }

    private static bool IsText(DataField field) => field.ClrType == typeof(string) || field.ClrType == typeof(ReadOnlyMemory<char>);

    private static T Read<T>(string path, Func<ParquetReader, T> read)
    {
        if (FileSeen.At(path) is { Kind: not FileKind.Regular } seen)
        {
            throw NamedFile.WhyNot(path, seen);
        }
        try
        {
            var reader = Wait(ParquetReader.CreateAsync(path, Options));
            try
            {
                return read(reader);
            }
            finally
            {
                reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
            }
        }
        catch (Exception e) when (e is not (BadInputException or OutOfMemoryException or UnauthorizedAccessException))
        {
            // The library tells a file that is cut or damaged by whatever its reading comes upon.
            throw new BadInputException($"'{path}' cannot be read as Parquet: {e.Message.Split('\n')[0].TrimEnd('.')}.",
                "Write the file again; is it whole?", e);
        }
    }

    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    private static void Wait(ValueTask task) => task.AsTask().GetAwaiter().GetResult();

    private static void Wait(Task task) => task.GetAwaiter().GetResult();
}
