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

    public static string Join(IEnumerable<string> files) =>
        string.Join(',', files.Select(f => f.Replace(",", "\\,", StringComparison.Ordinal)));
}
