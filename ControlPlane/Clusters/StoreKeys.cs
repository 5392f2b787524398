namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>Where workers find what opens a checkpoint store (the worker's StoreKeys reads it). Here it is only looked for.</summary>
internal static class StoreKeys
{
    public const string IdVariable = "AWS_ACCESS_KEY_ID", SecretVariable = "AWS_SECRET_ACCESS_KEY", TokenVariable = "AWS_SESSION_TOKEN";

    private const string FileVariable = "AWS_SHARED_CREDENTIALS_FILE";

    public static readonly string[] Variables = [IdVariable, SecretVariable, TokenVariable];

    /// <summary>Null: processes with this environment have keys, or a file that may hold them.</summary>
    public static (string What, string Fix)? Lack(Func<string, string?> environment)
    {
        bool Has(string name) => environment(name) is { Length: > 0 };
        if (Has(IdVariable) && Has(SecretVariable))
        {
            return null;
        }

        string? file = environment(FileVariable);
        return !string.IsNullOrEmpty(file) && File.Exists(file) ? null
            : ("the workers would have no keys for it" + (string.IsNullOrEmpty(file) ? "." : $": {file} is not there."),
                $"Start dsops with {IdVariable} and {SecretVariable} in its environment, or with {FileVariable} naming a file with them.");
    }
}
