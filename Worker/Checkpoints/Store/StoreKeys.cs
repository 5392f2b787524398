using Amazon.Runtime;
using Amazon.Runtime.CredentialManagement;

namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <summary>
/// What opens a checkpoint store: from the environment, or from a file that it names, as all tools for S3 have it. It comes from nowhere
/// else, and goes nowhere.
/// </summary>
internal static class StoreKeys
{
    /// <summary>As the control plane's StoreKeys, which looks for them at submission.</summary>
    public const string IdVariable = "AWS_ACCESS_KEY_ID", SecretVariable = "AWS_SECRET_ACCESS_KEY", TokenVariable = "AWS_SESSION_TOKEN";

    public const string FileVariable = "AWS_SHARED_CREDENTIALS_FILE", ProfileVariable = "AWS_PROFILE";

    /// <exception cref="BadInputException">There are none.</exception>
    public static AWSCredentials Find(string store, Func<string, string?> environment)
    {
        if (environment(IdVariable) is { Length: > 0 } id && environment(SecretVariable) is { Length: > 0 } secret)
        {
            return environment(TokenVariable) is { Length: > 0 } token
                ? new SessionAWSCredentials(id, secret, token) : new BasicAWSCredentials(id, secret);
        }
        string profile = environment(ProfileVariable) is { Length: > 0 } named ? named : "default";
        string? file = environment(FileVariable);
        if (!string.IsNullOrEmpty(file)
            && new CredentialProfileStoreChain(file).TryGetAWSCredentials(profile, out var found))
        {
            return found;
        }
        throw new BadInputException(
            string.IsNullOrEmpty(file) ? $"The worker has no keys for the checkpoint store {store}."
                : $"{file} has no keys of profile '{profile}' for the checkpoint store {store}.",
            $"Set {IdVariable} and {SecretVariable} in the environment of dsops, or {FileVariable} to a file that has them; on Kubernetes "
                + "name a secret under kubernetes.checkpointSecret.");
    }
}
