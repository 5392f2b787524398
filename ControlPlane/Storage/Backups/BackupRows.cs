using System.Collections.Immutable;
using System.Data.Common;
using System.Diagnostics;
using System.Text;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>What a column holds, the same on both databases. Names and numbers are in files: none is ever given another meaning.</summary>
internal enum ColumnKind
{
    Text = 0,
    Int = 1,
    Long = 2,
    Real = 3,
    Moment = 4,
    Bytes = 5,
}

internal sealed record BackupColumn(string Name, ColumnKind Kind);

internal sealed record BackupTable(string Name, ImmutableArray<BackupColumn> Columns)
{
    /// <summary>Who is there is of processes, not of the ledger; and which database it is, each has for itself.</summary>
    private static readonly string[] Left = ["activation", "member", "member_version", "store"];

    public string Listed => string.Join(", ", Columns.Select(c => $"\"{c.Name}\""));

    /// <summary>All that a database of this version holds, and that belongs into a backup.</summary>
    public static ImmutableArray<BackupTable> All(OpsDb context) =>
    [
        .. context.Model.GetEntityTypes().Select(t => new BackupTable(t.GetTableName()!,
                [.. t.GetProperties().Select(p => new BackupColumn(p.GetColumnName(), KindOf(p.ClrType)))]))
            .Where(t => !Left.Contains(t.Name)).OrderBy(t => t.Name, StringComparer.Ordinal),
    ];

    private static ColumnKind KindOf(Type property)
    {
        var type = Nullable.GetUnderlyingType(property) ?? property;
        return type == typeof(string) ? ColumnKind.Text
            : type == typeof(int) ? ColumnKind.Int
            : type == typeof(long) ? ColumnKind.Long
            : type == typeof(double) ? ColumnKind.Real
            : type == typeof(DateTime) ? ColumnKind.Moment
            : type == typeof(byte[]) ? ColumnKind.Bytes
            : throw new UnreachableException($"no backup knows columns of {type}");
    }
}

/// <summary>Rows of one table as bytes: its columns, then for each row a 1 and its values, then a 0.</summary>
internal sealed class RowWriter : IDisposable
{
    private readonly BackupTable table;
    private readonly BinaryWriter writer;

    public RowWriter(Stream content, BackupTable table)
    {
        this.table = table;
        writer = new BinaryWriter(content, Encoding.UTF8, leaveOpen: true);
        writer.Write(LedgerJson.Write(table));
    }

    public long Rows { get; private set; }

    public void Write(DbDataReader row) => Write(i => row.IsDBNull(i) ? null : table.Columns[i].Kind switch
    {
        ColumnKind.Text => row.GetString(i),
        ColumnKind.Int => row.GetInt32(i),
        ColumnKind.Long => row.GetInt64(i),
        ColumnKind.Real => row.GetDouble(i),
        ColumnKind.Moment => row.GetDateTime(i),
        ColumnKind.Bytes => row.GetFieldValue<byte[]>(i),
        var kind => throw new UnreachableException($"column of kind {kind}"),
    });

    /// <param name="values">By the number of the column; null: it has none.</param>
    public void Write(Func<int, object?> values)
    {
        writer.Write((byte)1);
        for (int i = 0; i < table.Columns.Length; i++)
        {
            object? value = values(i);
            writer.Write(value is not null);
            WriteValue(value);
        }

        Rows++;
    }

    public void End() => writer.Write((byte)0);

    public void Dispose() => writer.Dispose();

    private void WriteValue(object? value)
    {
        switch (value)
        {
            case null: break;
            case string text: writer.Write(text); break;
            case int number: writer.Write(number); break;
            case long number: writer.Write(number); break;
            case double number: writer.Write(number); break;
            case DateTime moment: writer.Write(moment.Ticks); break;
            case byte[] bytes:
                writer.Write7BitEncodedInt(bytes.Length);
                writer.Write(bytes);
                break;
            default: throw new UnreachableException($"a value {value.GetType()}");
        }
    }
}

/// <inheritdoc cref="RowWriter"/>
internal sealed class RowReader : IDisposable
{
    /// <summary>Ours: no value that we write comes near it. Packed, a file of some bytes could ask for all the memory there is.</summary>
    private const int ValueBytesMax = 256 << 20;

    private readonly BinaryReader reader;

    public RowReader(Stream content)
    {
        reader = new BinaryReader(content, Encoding.UTF8, leaveOpen: true);
        Table = LedgerJson.Read<BackupTable>(reader.ReadString());
    }

    public BackupTable Table { get; }

    /// <summary>Values in the order of the columns; moments are UTC. Null: there are no more.</summary>
    public object?[]? Next() => reader.ReadByte() switch
    {
        0 => null,
        1 => [.. Table.Columns.Select(c => reader.ReadBoolean() ? Value(c.Kind) : null)],
        var other => throw new InvalidDataException($"a row begins with {other}"),
    };

    public void Dispose() => reader.Dispose();

    private object Value(ColumnKind kind) => kind switch
    {
        ColumnKind.Text => Encoding.UTF8.GetString(Bytes(reader.Read7BitEncodedInt())),
        ColumnKind.Int => reader.ReadInt32(),
        ColumnKind.Long => reader.ReadInt64(),
        ColumnKind.Real => reader.ReadDouble(),
        ColumnKind.Moment => new DateTime(reader.ReadInt64(), DateTimeKind.Utc),
        ColumnKind.Bytes => Bytes(reader.Read7BitEncodedInt()),
        _ => throw new InvalidDataException($"a column of kind {kind}"),
    };

    private byte[] Bytes(int length) => length is < 0 or > ValueBytesMax
        ? throw new InvalidDataException($"a value of {length} bytes")
        : reader.ReadBytes(length) is { } bytes && bytes.Length == length ? bytes : throw new EndOfStreamException();
}
