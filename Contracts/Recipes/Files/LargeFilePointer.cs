namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// What stands in a file's place where a repository was cloned without Git LFS: some lines of text, which as data would be trained on.
/// </summary>
public static class LargeFilePointer
{
    public const string Fix = "Run `git lfs pull` in its folder, or download the file itself.";

    public static bool Is(ReadOnlySpan<byte> beginning) => beginning.StartsWith("version https://git-lfs.github.com/spec/"u8);

    /// <exception cref="BadInputException">It is one.</exception>
    public static void Refuse(ReadOnlySpan<byte> beginning, string path)
    {
        if (Is(beginning))
        {
            throw new BadInputException($"'{path}' is a pointer of Git LFS: the file itself was not fetched.", Fix);
        }
    }
}
