using System.Text;

namespace DeepSeekOps.Recipes.Data;

/// <summary>The files of a data source, in one text: parted by commas. A comma that belongs to a name has a backslash before it.</summary>
public static class DataSource
{
    private const string Builtin = "builtin:";

    public static bool IsBuiltin(string source) => source.StartsWith(Builtin, StringComparison.Ordinal);

    public static string[] Split(string source)
    {
        var (files, name) = (new List<string>(), new StringBuilder());
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] == '\\' && i + 1 < source.Length && source[i + 1] == ',')
            {
                name.Append(source[++i]);
            }
            else if (source[i] == ',')
            {
                files.Add(name.ToString());
                name.Clear();
            }
            else
            {
                name.Append(source[i]);
            }
        }

        files.Add(name.ToString());
        return [.. files.Select(f => f.Trim()).Where(f => f.Length > 0)];
    }

    /// <summary>The prepared set that a source names; null: it names files.</summary>
    /// <exception cref="BadInputException">A set beside other things, or a place that is not read.</exception>
    public static string? PreparedOf(IReadOnlyList<string> paths)
    {
        foreach (var path in paths)
        {
            RequireLocal(path);
        }

        return paths.FirstOrDefault(PreparedSet.IsMeant) is not { } folder ? null
            : paths.Count == 1 ? folder : throw new BadInputException(
                $"'{folder}' is a folder, and other data is named beside it: a prepared set stands alone.",
                "Name it alone, or prepare all of the data into one set (`dsops data prepare`).");
    }

    /// <summary>Data files have an ending, so this can only be a set, wherever it is.</summary>
    public static bool IsFolderByName(string path) => Path.EndsInDirectorySeparator(path) || Path.GetExtension(path).Length == 0;

    /// <exception cref="BadInputException">It is an address of a store.</exception>
    public static void RequireLocal(string path)
    {
        if (path.Contains("://", StringComparison.Ordinal))
        {
            throw new BadInputException(
                $"'{path}' is an address: data is not read from stores yet, only from local and shared file systems.",
                "Copy the data to a file system that all nodes see, and name its path.");
        }
    }

    public static string Join(IEnumerable<string> files) =>
        string.Join(',', files.Select(f => f.Replace(",", "\\,", StringComparison.Ordinal)));
}
