using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>An API token; its secret is not here.</summary>
public sealed class AccessTokenRow
{
    public required string Id { get; init; }

    /// <summary>SHA-256 of the secret.</summary>
    public required byte[] Digest { get; init; }

    /// <summary>The AccessToken as JSON.</summary>
    public required string Body { get; init; }

    /// <summary>Empty: it opens. "revoked", or "used" of a one-time code.</summary>
    public required string Ended { get; init; }

    /// <summary>Of a one-time code: the token that it made. Empty: none.</summary>
    public required string Made { get; init; }
}

internal sealed class AccessTokenTable : IEntityTypeConfiguration<AccessTokenRow>
{
    public void Configure(EntityTypeBuilder<AccessTokenRow> table) => table.ToTable("access_token").HasKey(t => t.Id);
}
